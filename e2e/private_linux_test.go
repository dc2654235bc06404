// SPDX-License-Identifier: MIT

package e2e

import (
	"bytes"
	"io"
	"strings"
	"syscall"
	"testing"
)

// listener prints all that reaches a computer's network card, from its first line
// of output to the end of its input.
const listener = `
import select, socket, sys
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
print("listening", flush=True)
while True:
    ready, _, _ = select.select([card, sys.stdin], [], [])
    if sys.stdin in ready:
        break
    sys.stdout.buffer.write(card.recv(1 << 16))
`

// listen begins to listen at a computer; what it returns ends that, and returns
// what was heard.
func (c *computer) listen() (end func() []byte) {
	t := c.mesh.t
	t.Helper()
	cmd := c.mesh.network.Command(c.number, python(), "-c", listener)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	heard := make(chan []byte, 1)
	go func() {
		data, _ := io.ReadAll(output)
		heard <- data
	}()
	return func() []byte {
		t.Helper()
		input.Close()
		data := <-heard
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		return data
	}
}

// Two computers of a private mesh find each other and render. One that is in an
// open mesh of that name, and one of another private mesh of that name, dial them
// and listen to the network: they learn of no node, no job and no block, nor what
// the mesh is called. One that leaves the mesh takes nothing of it along into the open.
func TestPrivateMesh(t *testing.T) {
	needManim(t)
	m := newMesh(t, 4)
	a, b, outside, elsewhere := m.computers[0].withManim(), m.computers[1].withManim(), m.computers[2], m.computers[3]
	code := strings.TrimSpace(strings.TrimPrefix(a.do("mesh", "new", "studio").out, "meshnode mesh join "))
	if a := b.do("mesh", "join", code); a.code != 0 {
		t.Fatalf("mesh join: exit code %d: %s", a.code, a.err)
	}
	if a := elsewhere.do("mesh", "new", "studio"); a.code != 0 {
		t.Fatalf("mesh new: exit code %d: %s", a.code, a.err)
	}
	heard := outside.listen()
	a.start("--slots", "1")
	b.start("--slots", "1")
	peers := []string{"--peer", a.status().Self.Addrs[0], "--peer", b.status().Self.Addrs[0]}
	outside.start(append(peers, "--mesh", "studio")...)
	elsewhere.start(peers...)
	eventually(t, readyTime, "the members know each other", func() bool {
		return len(a.peers()) == 1 && len(b.peers()) == 1 && a.peers()[0].renders() && b.peers()[0].renders()
	})
	e := a.publish("--cell-frames", "5", "--slots", "0", "-ql", "--seed", "7", "--progress_bar", "none", "scenes.py", "Turning").finished()
	if e.by(b.name()) == 0 {
		t.Errorf("%s rendered no frame: %+v", b.name(), e.Nodes)
	}
	for _, c := range []*computer{outside, elsewhere} {
		if peers := c.peers(); len(peers) > 0 {
			t.Errorf("%s knows %+v", c.name(), peers)
		}
		if a := c.do("jobs", "--json"); a.code != 0 || !strings.Contains(a.out, `"jobs":[]`) {
			t.Errorf("%s: exit code %d, %s%s", c.name(), a.code, a.out, a.err)
		}
		if s := c.status(); s.Blocks > 0 || s.Mesh != "studio" || s.Mark == a.status().Mark {
			t.Errorf("%s: %+v", c.name(), s)
		}
	}
	for _, c := range []*computer{a, b} {
		if peers := c.peers(); len(peers) != 1 {
			t.Errorf("%s knows %+v", c.name(), peers)
		}
	}
	packets := heard()
	if !bytes.Contains(packets, []byte("_mn")) {
		t.Error("no announcement was heard: nothing is shown")
	}
	for _, word := range []string{"studio", "Turning", "meshnode", a.status().Mark} {
		if bytes.Contains(packets, []byte(word)) {
			t.Errorf("what the network tells everybody contains %q", word)
		}
	}

	had := b.status().Blocks
	var left uint64
	for _, step := range []struct {
		do  []string
		has func(blocks uint64) bool
	}{
		// In the open it has but the pictures by which renderers are compared.
		{[]string{"leave"}, func(blocks uint64) bool { left = blocks; return blocks < had }},
		{[]string{"join", code}, func(blocks uint64) bool { return blocks == had }},
	} {
		b.stop(syscall.SIGTERM)
		if a := b.do("mesh", step.do...); a.code != 0 {
			t.Fatalf("mesh %s: exit code %d: %s", step.do[0], a.code, a.err)
		}
		b.start("--slots", "1")
		if s := b.status(); !step.has(s.Blocks) {
			t.Errorf("after mesh %s: %d bytes of blocks, of %d", step.do[0], s.Blocks, had)
		}
	}
	t.Logf("bytes of blocks: %d in the private mesh, %d in the open", had, left)
}
