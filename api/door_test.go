// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meshnode/node"
	"meshnode/p2p"
)

// doors are all that there are, on this system or on another.
var doors = map[string]func(home string) door{
	"own":      doorOf,
	"loopback": func(home string) door { return loopback{home} },
}

// startNode runs a node behind a door until the test ends, and returns where it listens.
func startNode(t *testing.T, home string, d door) entry {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- serve(ctx, node.Config{
			Home: home, Mesh: p2p.Mesh{Name: "test"}, NoMDNS: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Python: "/nowhere",
			Log: slog.New(slog.DiscardHandler), OnReady: func(node.Status) { close(ready) },
		}, d)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left := doorFiles(t, home); len(left) > 0 {
			t.Errorf("a node that has ended leaves %v", left)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	at, err := d.find(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// openDoor serves a handler behind a door until what it returns is called.
func openDoor(t *testing.T, d door, h http.Handler) (shut func()) {
	t.Helper()
	listener, handler, err := open(d, h)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	return func() { _ = server.Close(); <-ended }
}

// doorFiles are those that a door keeps in a home.
func doorFiles(t *testing.T, home string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(home, "api.*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Behind every door: who belongs to the home gets through to the node, who shows
// something wrong does not, and no GET changes anything.
func TestDoors(t *testing.T) {
	for name, of := range doors {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			home := t.TempDir()
			d := of(home)
			c := &Client{d}
			if _, err := c.Status(ctx); !errors.Is(err, ErrNoNode) {
				t.Errorf("without a node: %v, want ErrNoNode", err)
			}
			in := newInside(t)
			defer openDoor(t, d, in.handler())()
			files := doorFiles(t, home)
			if len(files) != 1 {
				t.Fatalf("the door's files are %v", files)
			}
			if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the door's file: %v, %v", info, err)
			}
			if s, err := c.Status(ctx); err != nil || s.Self.Advert == nil || s.Self.Name != "node" {
				t.Errorf("status %+v, %v", s, err)
			}
			at, err := d.find(ctx)
			if err != nil {
				t.Fatal(err)
			}
			do := func(at entry, method, path, kind string) *http.Response {
				t.Helper()
				r, err := http.NewRequestWithContext(ctx, method, "http://x"+path, strings.NewReader(`{"paused":true,"peer":"others","role":"blocked"}`))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", kind)
				resp, err := at.do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				return resp
			}
			before := in.state(t)
			for _, e := range endpoints {
				do(at, "GET", e.path, "application/json")
			}
			other := at
			other.host = "127.0.0.1:80"
			if resp := do(other, "POST", "/v1/pause", "application/json"); resp.StatusCode != http.StatusForbidden {
				t.Errorf("for another host: %s", resp.Status)
			}
			if resp := do(at, "POST", "/v1/pause", "text/plain"); resp.StatusCode != http.StatusUnsupportedMediaType {
				t.Errorf("what is not JSON: %s", resp.Status)
			}
			for _, token := range []string{"", at.proof, strings.Repeat("0", 2*secretSize)} {
				other := at
				if other.token = token; at.token == "" {
					continue // all that can connect may ask
				}
				if resp := do(other, "POST", "/v1/pause", "application/json"); resp.StatusCode != http.StatusUnauthorized || resp.Header.Get(proofHeader) != "" {
					t.Errorf("with token %q: %s %v", token, resp.Status, resp.Header)
				}
			}
			if now := in.state(t); now != before {
				t.Errorf("what is refused, or a GET, has changed something: from %s to %s", before, now)
			}
			if err := c.Pause(ctx, true); err != nil || in.state(t) == before {
				t.Errorf("a good request changes nothing, %v", err)
			}
		})
	}
}

// What a node leaves that was killed is taken for no node, and the next one replaces it.
func TestDoorOfADeadNode(t *testing.T) {
	for name, of := range doors {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			home := t.TempDir()
			d := of(home)
			hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/status" {
					t.Errorf("the node is asked for %s", r.URL.Path)
				}
				_, _ = w.Write([]byte("{}"))
			})
			shut := openDoor(t, d, hello)
			file := doorFiles(t, home)[0]
			hidden := filepath.Join(home, "hidden")
			if err := os.Rename(file, hidden); err != nil {
				t.Fatal(err)
			}
			shut()
			if err := os.Rename(hidden, file); err != nil {
				t.Fatal(err)
			}
			if _, err := (&Client{d}).Status(ctx); !errors.Is(err, ErrNoNode) {
				t.Errorf("with what is left: %v, want ErrNoNode", err)
			}
			shut = openDoor(t, d, hello)
			if _, err := (&Client{d}).Status(ctx); err != nil {
				t.Errorf("of the next node: %v", err)
			}
			shut()
			if left := doorFiles(t, home); len(left) > 0 {
				t.Errorf("it leaves %v", left)
			}
		})
	}
}

// A home may have a path that is too long for a socket.
func TestDoorOfALongHome(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for name, of := range doors {
		t.Run(name, func(t *testing.T) {
			home := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
			if err := os.Mkdir(home, 0o700); err != nil {
				t.Fatal(err)
			}
			d := of(home)
			defer openDoor(t, d, newInside(t).handler())()
			if _, err := (&Client{d}).Status(testContext(t)); err != nil {
				t.Error(err)
			}
		})
	}
}
