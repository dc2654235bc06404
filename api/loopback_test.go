// SPDX-License-Identifier: MIT

package api

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"meshnode/node"
)

// Who has got the port of a node that was killed is not taken for one, and sees nothing
// of what a client would have told the node.
func TestLoopbackOfAStranger(t *testing.T) {
	ctx := testContext(t)
	home := t.TempDir()
	var seen atomic.Value
	answers := map[string]func(w http.ResponseWriter){
		"all is well": func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"event":"finished"}`) },
		"go away":     func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) },
		"elsewhere": func(w http.ResponseWriter) {
			w.Header().Set("Location", "/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"a proof": func(w http.ResponseWriter) { w.Header().Set(proofHeader, strings.Repeat("0", 2*secretSize)) },
		"nothing": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"no HTTP": func(w http.ResponseWriter) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = io.WriteString(conn, "220 smtp\r\n")
				conn.Close()
			}
		},
	}
	for what, answer := range answers {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			seen.Store(r.Method + " " + r.URL.Path + " " + string(body))
			answer(w)
		})}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = server.Serve(listener) }()
		address := listener.Addr().String()
		if err := (loopback{home}).write(entry{address: address, token: newSecret(), proof: newSecret()}); err != nil {
			t.Fatal(err)
		}
		c := &Client{loopback{home}}
		err = c.Publish(ctx, node.PublishRequest{Env: []string{"SECRET=1"}}, func(e node.Event) { t.Errorf("%s: %+v", what, e) })
		if got := seen.Load(); !errors.Is(err, ErrNoNode) || got != "GET / " {
			t.Errorf("%s: %v, and it has seen %q", what, err, got)
		}
		_ = server.Close()
		<-ended
	}
}

// A file that says no address of this computer, or no secrets, leads nowhere.
func TestLoopbackDamaged(t *testing.T) {
	ctx := testContext(t)
	l := loopback{t.TempDir()}
	secret := newSecret()
	for _, text := range []string{
		"", "\n", "127.0.0.1:1", "127.0.0.1:1 " + secret, "127.0.0.1:1 " + secret + " " + secret[1:], "127.0.0.1:1 " + secret + " " + secret + " " + secret,
		"10.0.0.1:1 " + secret + " " + secret, "localhost:1 " + secret + " " + secret, "127.0.0.1 " + secret + " " + secret, "/etc/passwd " + secret + " " + secret,
		"127.0.0.1:1\r\nX: " + secret + " " + secret, strings.Repeat(" ", maxTokenFile) + "127.0.0.1:1 " + secret + " " + secret,
	} {
		if err := os.WriteFile(l.path(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if at, err := l.read(); err == nil {
			t.Errorf("%q: %+v", text, at)
		}
		if _, err := (&Client{l}).Status(ctx); !errors.Is(err, ErrNoNode) {
			t.Errorf("%q: %v, want ErrNoNode", text, err)
		}
	}
}

// The file is another one each time, this user's from the beginning, whatever was there.
func TestLoopbackFile(t *testing.T) {
	l := loopback{t.TempDir()}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	var last entry
	for range 2 {
		if err := os.Symlink(elsewhere, l.path()+".new"); err != nil {
			t.Skip("no links on this system")
		}
		listener, at, err := l.listen()
		if err != nil {
			t.Fatal(err)
		}
		read, err := l.read()
		if err != nil || read != at || at.token == last.token || at.proof == last.proof || at.token == at.proof {
			t.Errorf("wrote %+v, and read %+v (%v)", at, read, err)
		}
		last = at
		if _, err := os.Lstat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the token was written through a link")
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
}
