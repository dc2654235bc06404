// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/node"
	"meshnode/p2p"
	"meshnode/renderer/synthetic"
)

// entries are the two kinds of them, with the one host that each serves.
var entries = []entry{
	{host: "meshnode"},
	{host: "127.0.0.1:4321", token: strings.Repeat("5e", secretSize), proof: strings.Repeat("b7", secretSize)},
}

// inside is a node without peers, and what a request could change of it.
type inside struct {
	*server
	store   blockstore.Store
	records *node.MemoryRecords
	stopped context.Context // ended by a request to stop
}

func newInside(t testing.TB) *inside {
	t.Helper()
	return newInsideWith(t, blockstore.NewMemory(new(blockstore.Loopback).Join("self")))
}

// newInsideWith is newInside with that store, which the node closes.
func newInsideWith(t testing.TB, store blockstore.Store) *inside {
	t.Helper()
	net, err := p2p.NewSwitchboard(p2p.NewFaults(1)).NewMemory("test", 1)
	if err != nil {
		t.Fatal(err)
	}
	records := new(node.MemoryRecords)
	n, err := node.New(node.Parts{
		Network: net, Store: store,
		Renderer: &synthetic.Renderer{Scratch: t.TempDir()}, Records: records,
		Advert: job.Advert{Name: "node", Slots: 1, Speed: 1}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	stopped, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	s := &server{node: n, stop: stop, change: make(chan struct{}, 1)}
	return &inside{s, store, records, stopped}
}

// publish makes the film of a scene that reads those files, and returns the job, which
// nothing is under way of any more.
func (i *inside) publish(t *testing.T, files map[string]string) job.ID {
	t.Helper()
	dir := t.TempDir()
	scene, err := json.Marshal(synthetic.Scene{Name: "Demo", FPS: 15, Plays: []job.Play{{Frames: 20}}, Bytes: 100, Assets: slices.Sorted(maps.Keys(files))})
	if err != nil {
		t.Fatal(err)
	}
	files = maps.Clone(files)
	files["scene.json"] = string(scene)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slots := uint32(1)
	var last node.Event
	ctx := testContext(t)
	i.node.Publish(ctx, node.PublishRequest{Args: []string{"scene.json"}, Dir: dir, LocalSlots: &slots}, func(e node.Event) { last = e })
	jobs := i.node.Jobs()
	if last.Event != "finished" || len(jobs) != 1 {
		t.Fatalf("%+v, and %d jobs", last, len(jobs))
	}
	for i.node.Busy() || len(i.survey(t).ByOwner) > 0 {
		if time.Sleep(5 * time.Millisecond); ctx.Err() != nil {
			t.Fatal("the job does not come to an end")
		}
	}
	return jobs[0].ID
}

func (i *inside) survey(t *testing.T) *blockstore.Holdings {
	t.Helper()
	held, err := i.store.Survey(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// state is all that a request could change.
func (i *inside) state(t *testing.T) string {
	t.Helper()
	records, err := i.records.Read("")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(map[string]any{
		"records": records, "store": i.survey(t), "roles": i.node.Roles(), "paused": i.node.Status().Self.Paused,
		"jobs": i.node.Jobs(), "stopped": i.stopped.Err() != nil,
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// endpoints are all that the door serves.
var endpoints = []struct{ method, path, body string }{
	{"POST", "/v1/publish", `{"args":["scene.json"],"dir":"/nowhere","env":[]}`},
	{"POST", "/v1/explain", `{"args":["scene.json"],"dir":"/nowhere","env":[]}`},
	{"POST", "/v1/verify", `{"film":"/nowhere.mp4"}`},
	{"GET", "/v1/hold", ""},
	{"GET", "/v1/status", ""},
	{"GET", "/v1/peers", ""},
	{"GET", "/v1/jobs", ""},
	{"GET", "/v1/roles", ""},
	{"POST", "/v1/roles", `{"peer":"others","role":"worker"}`},
	{"POST", "/v1/jobs/abcd/cancel", ""},
	{"GET", "/v1/jobs/abcd/watch", ""},
	{"POST", "/v1/jobs/abcd/finish", `{"dir":"/nowhere"}`},
	{"GET", "/v1/jobs/abcd/bundle", ""},
	{"POST", "/v1/jobs/abcd/follow", `{}`},
	{"POST", "/v1/pause", `{"paused":true}`},
	{"GET", "/v1/store", ""},
	{"POST", "/v1/store/verify", `{}`},
	{"POST", "/v1/store/collect", `{"quota":0,"dry_run":true}`},
	{"POST", "/v1/stop", ""},
}

// call makes a request of a client that has left already, so that nothing waits.
func call(h http.Handler, at entry, method, path, host, kind, body string) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := httptest.NewRequestWithContext(ctx, method, "http://meshnode/", strings.NewReader(body))
	r.URL.Path, r.Host = path, host
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if at.token != "" {
		r.Header.Set("Authorization", "Bearer "+at.token)
	}
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if e := recover(); e != nil && e != http.ErrAbortHandler {
				panic(e)
			}
		}()
		guard(at, h).ServeHTTP(w, r)
	}()
	return w
}

// What is tried on endpoints is tried on all routes.
func TestEndpointsAreRoutes(t *testing.T) {
	s := newInside(t).server
	mux, listed := s.handler(), map[string]bool{}
	for _, e := range endpoints {
		_, pattern := mux.Handler(httptest.NewRequest(e.method, e.path, nil))
		if listed[pattern] = true; pattern == "" {
			t.Errorf("%s %s is not served", e.method, e.path)
		}
	}
	for pattern := range s.routes() {
		if !listed[pattern] {
			t.Errorf("%s is served, and not among the endpoints", pattern)
		}
	}
}

// Each endpoint wants the exact host, the token if there is one, and JSON to change
// anything; none that changes something answers to GET.
func TestDoor(t *testing.T) {
	h := newInside(t).handler()
	for _, at := range entries {
		tokens := []string{"", "x", at.token[:len(at.token)/2], at.token + "0", at.proof, strings.ToUpper(at.token)}
		if at.token == "" {
			tokens = nil // all that can connect may ask
		}
		for _, e := range endpoints {
			for _, host := range []string{"", "localhost", "localhost:4321", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:04321", "127.1:4321", "[::1]:4321", "meshnode:80", "Meshnode", "meshnode.", "evil.example", "meshnode.evil.example", entries[0].host, entries[1].host} {
				if host == at.host {
					continue
				}
				if w := call(h, at, e.method, e.path, host, "application/json", e.body); w.Code != http.StatusForbidden {
					t.Errorf("%s %s for host %q: %d", e.method, e.path, host, w.Code)
				}
			}
			for _, token := range tokens {
				r := httptest.NewRequest(e.method, e.path, strings.NewReader(e.body))
				r.Host = at.host
				r.Header.Set("Content-Type", "application/json")
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				w := httptest.NewRecorder()
				guard(at, h).ServeHTTP(w, r)
				if w.Code != http.StatusUnauthorized || w.Header().Get(proofHeader) != "" {
					t.Errorf("%s %s with token %q: %d, %v", e.method, e.path, token, w.Code, w.Header())
				}
			}
			if e.method == "GET" {
				continue
			}
			for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=utf-8"} {
				if w := call(h, at, e.method, e.path, at.host, kind, e.body); w.Code != http.StatusUnsupportedMediaType {
					t.Errorf("%s %s of type %q: %d", e.method, e.path, kind, w.Code)
				}
			}
			for _, method := range []string{"GET", "HEAD"} {
				served := e.path == "/v1/roles" // another endpoint
				if w := call(h, at, method, e.path, at.host, "application/json", ""); !served && w.Code < 400 {
					t.Errorf("%s %s: %d", method, e.path, w.Code)
				}
			}
		}
	}
}

// No GET changes anything.
func TestGetChangesNothing(t *testing.T) {
	h := newInside(t)
	id := string(h.publish(t, map[string]string{"file.txt": "text"}))
	do := func(method, path, body string) *httptest.ResponseRecorder {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		if strings.HasPrefix(path, "/v1/hold") { // it waits for that
			leave()
		}
		r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.handler().ServeHTTP(w, r)
		return w
	}
	before := h.state(t)
	for _, e := range endpoints {
		path := strings.Replace(e.path, "abcd", id, 1)
		for _, method := range []string{"GET", "HEAD"} {
			for _, body := range []string{"", e.body, `{"paused":true,"peer":"others","role":"blocked"}`} {
				w := do(method, path+"?assets=1&paused=true&peer=others&role=blocked&quota=0", body)
				if e.method == "GET" && method == "GET" && w.Code != http.StatusOK {
					t.Errorf("GET %s: %d %s", path, w.Code, w.Body)
				}
				if now := h.state(t); now != before {
					t.Errorf("%s %s with %q has changed something: from %s to %s", method, path, body, before, now)
					before = now
				}
			}
		}
	}
	// What would change is seen: it does by POST.
	for path, body := range map[string]string{
		"/v1/pause": `{"paused":true}`, "/v1/roles": `{"peer":"others","role":"blocked"}`, "/v1/store/collect": `{"quota":0}`, "/v1/stop": "",
	} {
		if w := do("POST", path, body); w.Code >= 300 {
			t.Errorf("POST %s: %d %s", path, w.Code, w.Body)
		}
		now := h.state(t)
		if now == before {
			t.Errorf("POST %s has changed nothing", path)
		}
		before = now
	}
}

// What is too large, unknown, doubled or not JSON is refused.
func TestDoorRefusesBodies(t *testing.T) {
	h, at := newInside(t).handler(), entries[0]
	for _, body := range []string{
		"", "{", "null", "[]", `{"paused":true} {"paused":false}`, `{"paused":true,"more":1}`, `{"paused":1}`, `{"paused":true}]`,
		strings.Repeat("[", 100_000), `{"paused":"` + strings.Repeat("x", maxBody) + `"}`, `{"paused":true` + strings.Repeat(" ", maxBody) + `}`,
	} {
		if w := call(h, at, "POST", "/v1/pause", at.host, "application/json", body); w.Code != http.StatusBadRequest {
			t.Errorf("%.40q: %d %s", body, w.Code, w.Body)
		}
	}
	if w := call(h, at, "POST", "/v1/pause", at.host, "application/json", `{"paused":true}`); w.Code != http.StatusNoContent {
		t.Errorf("a good one: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/v1/jobs/../stop", "/v1/jobs//cancel", "/v1/jobs/%2e%2e/cancel", "//v1/stop", "/"} {
		if w := call(h, at, "POST", path, at.host, "application/json", ""); w.Code < 300 {
			t.Errorf("%q: %d", path, w.Code)
		}
	}
}

// A client that sends a request slowly is not waited for, with a token or without.
func TestDoorOfNode(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	for name, of := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			at := startNode(t, home, of(home))
			say := "Host: " + at.host + "\r\n"
			if at.token != "" {
				say += "Authorization: Bearer " + at.token + "\r\n"
			}
			var clients sync.WaitGroup
			defer clients.Wait()
			for what, text := range map[string]string{
				"header":  "POST /v1/pause HTTP/1.1\r\n" + say + "Content-Type: application/json\r\n",
				"body":    "POST /v1/pause HTTP/1.1\r\n" + say + "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"paused\"",
				"much":    "GET /v1/status HTTP/1.1\r\n" + say + "X: " + strings.Repeat("x", 2*maxHeader),
				"refused": "POST /v1/pause HTTP/1.1\r\nHost: other\r\nContent-Length: 15\r\n\r\n{\"paused\"",
				"unread":  "POST /v1/jobs/abcd/cancel HTTP/1.1\r\n" + say + "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"paused\"",
				"idle":    "GET / HTTP/1.1\r\nHost: other\r\n\r\n",
				"nothing": "",
			} {
				clients.Go(func() {
					conn, err := net.Dial(at.network, at.address)
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
					_, _ = io.WriteString(conn, text) // of too much not all is taken
					answer, err := io.ReadAll(conn)
					if errors.Is(err, os.ErrDeadlineExceeded) || bytes.HasPrefix(answer, []byte("HTTP/1.1 2")) {
						t.Errorf("%s: %q, %v", what, answer, err)
					}
				})
			}
		})
	}
}

// FuzzHTTP: whatever comes through the door, the node does not panic, and answers
// with JSON or nothing.
func FuzzHTTP(f *testing.F) {
	for i, e := range endpoints {
		at := entries[i>>2&1]
		f.Add(uint8(i), e.path, at.host, "application/json", []byte(e.body))
	}
	f.Add(uint8(0), "/v1/jobs/%2e%2e/cancel", "127.0.0.1", "text/plain", []byte("[[[[[["))
	h := newInside(f).handler()
	f.Fuzz(func(t *testing.T, which uint8, path, host, kind string, body []byte) {
		method := [...]string{"GET", "POST", "HEAD", "PUT"}[which%4]
		w := call(h, entries[which>>2&1], method, path, host, kind, string(body))
		if kind := w.Header().Get("Content-Type"); kind == "application/json" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q: %d %q", method, path, w.Code, fmt.Sprint(w.Body))
		}
	})
}
