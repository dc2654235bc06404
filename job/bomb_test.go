// SPDX-License-Identifier: MIT

package job

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
)

// list is CBOR of a map with one entry, a list of as many equal elements as fit
// into a size.
func list(key byte, element []byte, size int) []byte {
	n := (size - 16) / len(element)
	b := binary.BigEndian.AppendUint32([]byte{0xa1, key, 0x9a}, uint32(n))
	return append(b, bytes.Repeat(element, n)...)
}

// Small things that become large when they are decoded: what decoding takes stays
// in proportion to the bytes, whatever they say, and nothing of it is valid.
func TestDecodingBombs(t *testing.T) {
	empty := []byte{0xa0}
	message := MaxMessage - 256 // the envelope needs some
	open := func(k Kind) func([]byte) error {
		return func(body []byte) error {
			e := envelope{V: Version, Kind: k, From: "a", Body: body}
			raw, err := encode(&e, MaxState)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(anyKey{}, raw)
			return err
		}
	}
	manifest := func(b []byte) error { _, err := DecodeManifest(b); return err }
	set := func(b []byte) error { _, err := DecodeFileSet(b); return err }
	advert := func(b []byte) error { _, err := DecodeAdvert(b); return err }
	held := append([]byte{0xa1, 0x03, 0x99, 0x20, 0x00}, bytes.Repeat(empty, 0x2000)...) // 8,192 empty ranges
	for what, bomb := range map[string]struct {
		body  []byte
		open  func([]byte) error
		limit uint64 // bytes
	}{
		"progress":           {list(1, empty, message), open(KindProgress), 2 << 20},
		"progress, nested":   {list(1, held, message), open(KindProgress), 2 << 20},
		"offer":              {list(2, empty, message), open(KindOffer), 2 << 20},
		"collected":          {list(1, empty, message), open(KindCollected), 2 << 20},
		"pull":               {list(0, empty, message), open(KindPull), 2 << 20},
		"call":               {append([]byte{0xa1, 0x01}, list(5, []byte{0x60}, message)...), open(KindCall), 2 << 20},
		"state":              {list(0, []byte{0x40}, MaxState-256), open(KindState), 8 << 20},
		"manifest":           {list(10, empty, MaxManifest), manifest, 8 << 20},
		"manifest, packages": {append([]byte{0xa1, 0x04}, list(5, []byte{0x60}, MaxManifest-8)...), manifest, 8 << 20},
		"file set":           {list(1, empty, MaxFileSet), set, 8 << 20},
		"file set, blocks":   {append([]byte{0xa1, 0x01, 0x81}, list(2, []byte{0x60}, MaxFileSet-8)...), set, 8 << 20},
		"advert":             {list(10, empty, MaxMessage), advert, 2 << 20},
		"a list in a list":   {bytes.Repeat([]byte{0x81}, MaxManifest), manifest, 1 << 20},
		"a length of 2^32-1": {[]byte{0xa1, 0x0a, 0x9a, 0xff, 0xff, 0xff, 0xff}, manifest, 1 << 20},
		"a length of 2^63":   {[]byte{0xa1, 0x05, 0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0}, manifest, 1 << 20},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := bomb.open(bomb.body)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: is valid", what)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > bomb.limit {
			t.Errorf("%s: %d bytes became %d", what, len(bomb.body), took)
		} else {
			t.Logf("%s: %d bytes became %d", what, len(bomb.body), took)
		}
	}
}
