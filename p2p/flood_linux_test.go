// SPDX-License-Identifier: MIT

package p2p_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// mdnsAnswer is a packet that announces instances of the service of mesh "m", kept for
// a day: each with so many bytes of text, and all with so many addresses.
func mdnsAnswer(name string, instances, text, addresses int) []byte {
	domain := func(name string) (out []byte) {
		for label := range strings.SplitSeq(name, ".") {
			out = append(append(out, byte(len(label))), label...)
		}
		return append(out, 0)
	}
	sum := sha256.Sum256([]byte("meshnode/1 mdns\x00m"))
	service := domain("_mn" + hex.EncodeToString(sum[:6]) + "._udp.local")
	const header = 12
	pointer := func(at int) []byte { return binary.BigEndian.AppendUint16(nil, 0xc000|uint16(at)) }
	packet := []byte{0, 0, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	count := 0
	record := func(name []byte, kind uint16, data []byte) (dataAt int) {
		count++
		packet = append(packet, name...)
		packet = binary.BigEndian.AppendUint16(packet, kind)
		packet = binary.BigEndian.AppendUint16(packet, 1)
		packet = binary.BigEndian.AppendUint32(packet, 86400)
		packet = binary.BigEndian.AppendUint16(packet, uint16(len(data)))
		dataAt = len(packet)
		packet = append(packet, data...)
		return dataAt
	}
	const ptr, txt, srv, a = 12, 16, 33, 1
	label := func(i int) []byte { s := fmt.Sprint(name, i); return append([]byte{byte(len(s))}, s...) }
	at := record(service, ptr, append(label(0), pointer(header)...))
	host := pointer(at)
	for i := range instances {
		instance := append(label(i), pointer(header)...)
		record(instance, srv, append([]byte{0, 0, 0, 0, 0, 1}, host...))
		if text > 0 {
			record(instance, txt, []byte(strings.Repeat("\xff"+strings.Repeat("x", 255), text/256)))
		}
	}
	for range addresses {
		record(host, a, []byte{127, 0, 0, 1})
	}
	binary.BigEndian.PutUint16(packet[6:], uint16(count))
	return packet
}

// Whoever is on the network can announce what he likes, before any key is proved: it
// does not fill memory, and keeps nobody from being found.
func TestMDNSFlood(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ip(t, "link", "set", "lo", "up", "multicast", "on")
	ip(t, "route", "add", "224.0.0.0/4", "dev", "lo")
	a := discovering(t, "m")
	conn, err := net.Dial("udp4", "224.0.0.251:5353")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	time.Sleep(200 * time.Millisecond) // it browses
	before := held()
	for i := range 500 {
		if _, err := conn.Write(mdnsAnswer(fmt.Sprint("i", i, "x"), 1, 60<<10, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	grown := int64(held()) - int64(before)
	t.Logf("30 MB of answers: %d KiB are held", grown>>10)
	if grown > 16<<20 {
		t.Errorf("%d MiB are held", grown>>20)
	}
	b := discovering(t, "m")
	eventually(t, "a join", func() bool { return len(a.Peers()) == 1 && len(b.Peers()) == 1 })
}
