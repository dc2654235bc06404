// SPDX-License-Identifier: MIT

package p2p_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
)

// privateMesh returns the configuration of its nodes.
func privateMesh(t *testing.T, name string) p2p.Config {
	t.Helper()
	m, err := p2p.NewMesh(name)
	if err != nil {
		t.Fatal(err)
	}
	return p2p.Config{Mesh: m.Name, Secret: m.Secret}
}

// The nodes of a private mesh meet and talk; who lacks its secret does not get
// through to them, whatever the name of his mesh, from neither side.
func TestHostPrivate(t *testing.T) {
	config := privateMesh(t, "studio")
	a, b := started(t, config), started(t, config)
	a.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return []byte("yes"), nil })
	if err := b.Connect(deadline(t), a.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	if answer, err := b.Request(deadline(t), a.Self(), nil); err != nil || string(answer) != "yes" {
		t.Fatalf("a member's request: %q, %v", answer, err)
	}
	for what, config := range map[string]p2p.Config{
		"open mesh of that name": {Mesh: "studio"}, "another's secret": privateMesh(t, "studio"),
		"secret under another name": {Mesh: "home", Secret: config.Secret},
	} {
		stranger := started(t, config)
		for _, dial := range [][2]*p2p.Host{{stranger, a}, {a, stranger}} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if err := dial[0].Connect(ctx, dial[1].Addrs()[0]); err == nil {
				t.Errorf("%s: connected", what)
			}
			cancel()
		}
		if n := len(stranger.LibP2P().Network().Peers()); n > 0 {
			t.Errorf("%s: %d connections", what, n)
		}
		if _, err := stranger.Request(deadline(t), a.Self(), nil); !errors.Is(err, p2p.ErrUnreachable) {
			t.Errorf("%s: a request is answered with %v", what, err)
		}
	}
	if len(a.Peers()) != 1 || len(b.Peers()) != 1 {
		t.Errorf("peers %v and %v", a.Peers(), b.Peers())
	}
}

// What a node of a private mesh sends to who just connects looks like noise: it
// names neither the mesh, nor meshnode, nor a protocol.
func TestHostPrivateTellsNothing(t *testing.T) {
	a := started(t, privateMesh(t, "studio"))
	parts := strings.Split(a.Addrs()[0], "/") // "", ip4, 127.0.0.1, tcp, port, …
	conn, err := net.Dial("tcp", net.JoinHostPort(parts[2], parts[4]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	hello := append(bytes.Repeat([]byte{7}, 24), "\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n"...)
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	for _, word := range []string{"studio", "mesh", "multistream", "tls"} {
		if bytes.Contains(bytes.ToLower(answer), []byte(word)) {
			t.Errorf("the answer to noise contains %q: %q", word, answer)
		}
	}
	if len(answer) > 64 {
		t.Errorf("%d bytes for who says nothing sensible: %q", len(answer), answer)
	}
}
