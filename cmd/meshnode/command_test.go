// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"meshnode/api"
	"meshnode/job"
	"meshnode/node"
	"meshnode/renderer/sandbox"
)

// The test program is also the command under test, and the node that the
// command starts.
const (
	asCommand = "MESHNODE_TEST_COMMAND" // set: be the command
	asNode    = "MESHNODE_TEST_NODE"    // what `meshnode run` does then: see runFakeNode
)

func TestMain(m *testing.M) {
	sandbox.MaybeInit()
	if os.Getenv(asCommand) == "" {
		os.Exit(m.Run())
	}
	if role := os.Getenv(asNode); role != "" && len(os.Args) > 1 && os.Args[1] == "run" {
		os.Exit(runFakeNode(role))
	}
	main()
}

// command runs meshnode with a home of its own and returns what it printed.
type command struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
}

// script makes a folder with a scene and returns it.
func script(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "scene.py"), []byte("# the fake node reads nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newCommand(t *testing.T, home string, args ...string) *command {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c := &command{Cmd: exec.CommandContext(ctx, os.Args[0], args...)}
	c.Env = append(os.Environ(), asCommand+"=1", "MESHNODE_HOME="+home, "TZ=UTC")
	c.Dir = script(t)
	c.WaitDelay = 10 * time.Second // should a child hold on to its output
	c.Stdout, c.Stderr = &c.stdout, &c.stderr
	return c
}

// finish runs or awaits the command and checks its exit code.
func (c *command) finish(t *testing.T, code int) {
	t.Helper()
	run := c.Run
	if c.Process != nil {
		run = c.Wait
	}
	err := run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := c.ProcessState.ExitCode(); got != code {
		t.Errorf("%q: exit code %d, want %d\nstdout: %s\nstderr: %s", c.Args[1:], got, code, &c.stdout, &c.stderr)
	}
}

// fakeNode answers the API without rendering anything.
type fakeNode struct {
	events   func(node.PublishRequest) []node.Event
	hang     bool          // publish does not end by itself
	requests chan string   // method, path and body of each request but GETs
	left     chan struct{} // a client of publish has gone
	status   node.Status
}

func newFakeNode(home string) *fakeNode {
	here := node.PeerStatus{
		ID: "12D3KooWself1234", Self: true, Addrs: []string{"/ip4/10.0.0.1/tcp/4001/p2p/12D3KooWself1234"},
		Advert: &job.Advert{Name: "workshop", OS: "linux/amd64", Slots: 4, Speed: 31.25, Sandbox: "own",
			Environments: []job.Environment{{Renderer: "manim", Version: "0.22.0"}}},
	}
	there := node.PeerStatus{ID: "12D3KooWpeer5678", Addrs: []string{"/ip4/10.0.0.2/tcp/4001/p2p/12D3KooWpeer5678"},
		Advert: &job.Advert{Name: "lap\x1b[2Jtop", OS: "darwin/arm64", Sandbox: "none", Lacks: "no sandbox holds"}}
	return &fakeNode{
		events:   func(node.PublishRequest) []node.Event { return jobEvents() },
		requests: make(chan string, 16), left: make(chan struct{}, 16),
		status: node.Status{Self: here, Mesh: "home", Home: home, Peers: []node.PeerStatus{there, {ID: "12D3KooWnew"}},
			Blocks: 1_234_567, Clients: 1, Notes: []string{"the sandbox is slow today"},
			Jobs: []node.JobStatus{
				{ID: "bafkreidefghijklmnopqrs", Name: "Intro", From: "workshop", State: "finished", Frames: 90, Done: 90, File: "/home/a/media/Intro.mp4",
					Begun: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Ended: time.Date(2026, 3, 1, 9, 31, 12, 0, time.UTC)},
				{ID: "bafkreiabcdefghijklmnop", Name: "SineCurve", From: "workshop", State: "rendering", Frames: 570, Done: 300, Rate: 61.2, Seconds: 4.4},
				{ID: "bafkreiqrstuvwxyz234567", Name: "Other", From: "laptop", State: "failed", Frames: 15, Text: "Traceback\n...\nNameError: no such name\n"},
			}},
	}
}

func (f *fakeNode) handler() http.Handler {
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { reply(w, f.status) })
	mux.HandleFunc("GET /v1/peers", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"peers": f.status.Peers})
	})
	mux.HandleFunc("GET /v1/jobs", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"jobs": f.status.Jobs})
	})
	mux.HandleFunc("POST /v1/publish", func(w http.ResponseWriter, r *http.Request) {
		var req node.PublishRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, e := range f.events(req) {
			reply(w, e)
			_ = http.NewResponseController(w).Flush()
		}
		if f.hang {
			<-r.Context().Done()
			f.left <- struct{}{}
		}
	})
	mux.HandleFunc("GET /v1/jobs/{id}/watch", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "unknown" {
			w.WriteHeader(http.StatusNotFound)
			reply(w, map[string]string{"error": "no job published on this node has the id \"unknown\""})
			return
		}
		for _, e := range f.events(node.PublishRequest{}) {
			reply(w, e)
			_ = http.NewResponseController(w).Flush()
		}
		if f.hang {
			<-r.Context().Done()
			f.left <- struct{}{}
		}
	})
	mux.HandleFunc("GET /v1/hold", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("GET /v1/roles", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"roles": []node.PeerRole{{Peer: "12D3KooWpeer5678", Name: "laptop", Role: node.RoleWorker}, {Peer: node.Others, Role: node.RoleFull}}})
	})
	mux.HandleFunc("POST /v1/roles", func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		f.requests <- r.URL.Path + " " + body.String()
		var set node.PeerRole
		_ = json.Unmarshal(body.Bytes(), &set)
		reply(w, set)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		f.requests <- r.URL.Path + " " + body.String()
		if strings.Contains(r.URL.Path, "unknown") {
			w.WriteHeader(http.StatusNotFound)
			reply(w, map[string]string{"error": "node: no job ends in \"unknown\""})
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// serve answers at the home's door until the test ends.
func (f *fakeNode) serve(t *testing.T, home string) {
	t.Helper()
	serveAt(t, home, f.handler())
}

func serveAt(t *testing.T, home string, h http.Handler) {
	t.Helper()
	listener, handler, err := api.Open(home, h)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
}

// runFakeNode is `meshnode run` as the tests need it: "serve" answers one
// publication and ends, "die" complains and ends, "wait" finds the home in use
// at first and serves at its second start.
func runFakeNode(role string) int {
	fmt.Printf("started as %q\n", os.Args[1:])
	home := os.Getenv("MESHNODE_HOME")
	if role == "die" {
		fmt.Println("meshnode: no room for the store")
		return 1
	}
	if role == "wait" && os.Mkdir(filepath.Join(home, "seen"), 0o700) == nil {
		return exitInUse
	}
	f := newFakeNode(home)
	done := make(chan struct{})
	listener, handler, err := api.Open(home, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.handler().ServeHTTP(w, r)
		if r.URL.Path == "/v1/publish" {
			close(done)
		}
	}))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = server.Shutdown(ctx)
	return 0
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		want string // in stdout and stderr together
	}{
		{nil, 0, "meshnode publish scene.py SineCurve -qh -p"},
		{[]string{"--help"}, 0, "COMMANDS:"},
		{[]string{"publish", "--help"}, 0, "--cell-frames N"},
		{[]string{"publish", "-qh", "-h"}, 0, "--quality l|m|h|p|k"},
		{[]string{"run", "--help"}, 0, "--no-mdns"},
		{[]string{"version"}, 0, "meshnode devel"},
		{[]string{"stauts"}, 2, `meshnode: unknown command "stauts": did you mean "status"?`},
		{[]string{"--frobnicate"}, 2, "unknown option --frobnicate"},
		{[]string{"status", "--jsno"}, 2, "did you mean --json?"},
		{[]string{"status", "extra"}, 2, `unexpected argument "extra"`},
		{[]string{"publish"}, 2, "no scene file is given"},
		{[]string{"publish", "none.py"}, 2, "none.py: no such file"},
		{[]string{"scene.py", "-qx"}, 2, `-q "x": must be one of`},
		{[]string{"-pqx", "scene.py"}, 2, `-q "x": must be one of`},
		{[]string{"render", "scene.py", "-l"}, 2, "-l needs a window"},
		{[]string{"cancel"}, 2, "meshnode cancel JOB"},
		{[]string{"cancel", "job", "--home", "x"}, 2, "options and then one job"},
		{[]string{"watch"}, 2, "meshnode watch JOB"},
		{[]string{"watch", "abcd"}, 1, `start one with "meshnode run"`},
		{[]string{"publish", "scene.py", "--detach", "--dry_run"}, 2, "--detach: a plan alone"},
		{[]string{"publish", "scene.py", "--detach", "--watch"}, 2, "leave out --detach"},
		{[]string{"verify"}, 2, "no film is given"},
		{[]string{"verify", "--home", "h", "scene.py", "--watch", "scene.py"}, 2, "verify takes a script"},
		{[]string{"verify", "none.mp4"}, 2, "name the film first"},
		{[]string{"verify", "scene.py", "--cells", "0"}, 2, `--cells "0": must be`},
		{[]string{"store", "verfy"}, 2, "unexpected argument"},
		{[]string{"run", "--slots", "many"}, 2, `--slots "many": must be a whole number`},
		{[]string{"run", "--peer", "1.2.3.4"}, 2, "must be an address such as"},
		{[]string{"run", "--listen", "nowhere"}, 2, "must be an address such as"},
		{[]string{"run", "--python", "/none"}, 2, `--python "/none": no such program`},
		{[]string{"setup", "--python", ""}, 2, "name a Python interpreter"},
		{[]string{"run", "--mesh", ""}, 2, "must be 1 to 64 letters"},
		{[]string{"status"}, 1, `start one with "meshnode run"`},
		{[]string{"peers", "--json"}, 1, `start one with "meshnode run"`},
		{[]string{"jobs"}, 1, `start one with "meshnode run"`},
		{[]string{"cancel", "abc"}, 1, `start one with "meshnode run"`},
		{[]string{"pause"}, 1, `start one with "meshnode run"`},
		{[]string{"block"}, 2, "meshnode block PEER"},
		{[]string{"allow", "--work-only"}, 2, "meshnode allow PEER"},
		{[]string{"block", "laptop"}, 1, "while no node runs, give its full id"},
	} {
		c := newCommand(t, t.TempDir(), test.args...)
		c.finish(t, test.code)
		if out := c.stdout.String() + c.stderr.String(); !strings.Contains(out, test.want) {
			t.Errorf("%q prints %q, want %q", test.args, out, test.want)
		}
		if test.code != 0 && (strings.Count(c.stderr.String(), "\n") != 1 || c.stdout.Len() > 0) {
			t.Errorf("%q prints more than one line: %q", test.args, c.stdout.String()+c.stderr.String())
		}
	}
}

func TestTables(t *testing.T) {
	home := t.TempDir()
	f := newFakeNode("/home/a/.meshnode")
	f.serve(t, home)
	for _, name := range []string{"status", "peers", "jobs"} {
		c := newCommand(t, home, name)
		c.finish(t, 0)
		golden(t, name+".txt", c.stdout.String())
		c = newCommand(t, home, name, "--json")
		c.finish(t, 0)
		golden(t, name+".json", c.stdout.String())
	}
	f.status.Peers, f.status.Jobs = nil, nil
	for _, name := range []string{"peers", "jobs"} {
		c := newCommand(t, home, name)
		c.finish(t, 0)
		golden(t, "no-"+name+".txt", c.stdout.String())
		c = newCommand(t, home, name, "--json")
		c.finish(t, 0)
		if want := fmt.Sprintf("%q:[]}\n", name); !strings.HasSuffix(c.stdout.String(), want) {
			t.Errorf("%s --json prints %q, want %q", name, &c.stdout, want)
		}
	}
}

func TestOrders(t *testing.T) {
	home := t.TempDir()
	f := newFakeNode(home)
	f.serve(t, home)
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"cancel", "ijklmnop"}, 0, "/v1/jobs/ijklmnop/cancel "},
		{[]string{"cancel", "a/b"}, 0, "/v1/jobs/a/b/cancel "},
		{[]string{"cancel", "unknown"}, 1, "/v1/jobs/unknown/cancel "},
		{[]string{"pause"}, 0, `/v1/pause {"paused":true}`},
		{[]string{"pause", "--off"}, 0, `/v1/pause {"paused":false}`},
		{[]string{"resume"}, 0, `/v1/pause {"paused":false}`},
		{[]string{"allow", "laptop"}, 0, `/v1/roles {"peer":"laptop","role":"full"}`},
		{[]string{"allow", "--work-only", "others"}, 0, `/v1/roles {"peer":"others","role":"worker"}`},
		{[]string{"block", "k7wq2xea"}, 0, `/v1/roles {"peer":"k7wq2xea","role":"blocked"}`},
	} {
		c := newCommand(t, home, test.args...)
		c.finish(t, test.code)
		if got := <-f.requests; got != test.want {
			t.Errorf("%q asks for %q, want %q", test.args, got, test.want)
		}
		if test.code == 1 && c.stderr.String() != "meshnode: no job ends in \"unknown\"\n" {
			t.Errorf("%q prints %q", test.args, &c.stderr)
		}
	}
}

func TestPublish(t *testing.T) {
	home := t.TempDir()
	f := newFakeNode(home)
	var got node.PublishRequest
	f.events = func(req node.PublishRequest) []node.Event { got = req; return jobEvents() }
	f.serve(t, home)

	c := newCommand(t, home, "publish", "--slots", "2", "scene.py", "--cell-frames=5", "--asset", "*.h5", "SineCurve", "-pql")
	c.finish(t, 0)
	golden(t, "quiet.out", c.stdout.String())
	golden(t, "quiet.err", c.stderr.String())
	if want := []string{"scene.py", "SineCurve", "-pql"}; strings.Join(got.Args, " ") != strings.Join(want, " ") {
		t.Errorf("publishes %q, want %q", got.Args, want)
	}
	if dir, _ := filepath.EvalSymlinks(c.Dir); got.Dir != c.Dir && got.Dir != dir {
		t.Errorf("publishes from %q, want %q", got.Dir, c.Dir)
	}
	if len(got.Assets) != 1 || got.Assets[0] != "*.h5" {
		t.Errorf("shares %q", got.Assets)
	}
	if got.CellFrames != 5 || got.LocalSlots == nil || *got.LocalSlots != 2 || len(got.Env) == 0 {
		t.Errorf("publishes cells of %d, %v slots here, %d variables", got.CellFrames, got.LocalSlots, len(got.Env))
	}

	c = newCommand(t, home, "scene.py", "--json", "--mesh", "lab", "--no-mdns")
	c.finish(t, 0)
	lines := strings.SplitAfter(strings.TrimSpace(c.stdout.String()), "\n")
	if len(lines) != len(jobEvents())+2 || !strings.Contains(lines[0], `is in mesh \"home\"`) || !strings.Contains(lines[1], "--no-mdns: without effect") {
		t.Errorf("prints %q", lines)
	}
	var last struct {
		Event, File, SHA256 string
		Nodes               []struct {
			Peer, Name string
			Self       bool
			Frames     int
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Event != "finished" || len(last.Nodes) != 2 || last.Nodes[0].Frames != 300 || !last.Nodes[0].Self {
		t.Errorf("ends with %q: %+v, %v", lines[len(lines)-1], last, err)
	}
	if c.stderr.Len() > 0 {
		t.Errorf("prints %q beside its JSON", &c.stderr)
	}
}

func TestPublishFails(t *testing.T) {
	home := t.TempDir()
	f := newFakeNode(home)
	f.serve(t, home)
	for _, test := range []struct {
		event  node.Event
		code   int
		stderr string
	}{
		{node.Event{Event: "failed", Kind: node.FailedScene, Text: "Traceback\n  \x1b[31mNameError\x1b[0m\n"}, 1, "Traceback\n  \x1b[31mNameError\x1b[0m\n"},
		{node.Event{Event: "failed", Kind: node.FailedUsage, Text: "manim: no scene called X"}, 2, "meshnode: no scene called X\n"},
		{node.Event{Event: "failed", Kind: node.FailedRender, Text: "no node could \x1b[2Jrender it"}, 1, "meshnode: the job failed: no node could \uFFFD[2Jrender it\n"},
		{node.Event{Event: "failed", Kind: node.FailedCanceled}, 1, "meshnode: the job was canceled\n"},
		{node.Event{Event: "failed", Kind: node.FailedStopped, Text: "the node was stopped"}, 1, "meshnode: the node was stopped\n"},
	} {
		f.events = func(node.PublishRequest) []node.Event { return []node.Event{{Event: "planning"}, test.event} }
		c := newCommand(t, home, "publish", "scene.py")
		c.finish(t, test.code)
		if c.stderr.String() != test.stderr {
			t.Errorf("%+v prints %q, want %q", test.event, &c.stderr, test.stderr)
		}
	}
}

// TestPublishOutlivesItsNode checks that publish asks the next node for the same
// request, when one dies that has it.
func TestPublishOutlivesItsNode(t *testing.T) {
	home := t.TempDir()
	f := newFakeNode(home)
	var tickets []string
	die := 1
	f.events = func(req node.PublishRequest) []node.Event {
		tickets = append(tickets, req.Ticket)
		if len(tickets) <= die {
			return []node.Event{{Event: "planning"}}
		}
		return jobEvents()
	}
	f.serve(t, home)
	const note = "meshnode: the node has died: the next one on its home goes on with the job\n"
	c := newCommand(t, home, "publish", "scene.py")
	c.finish(t, 0)
	if len(tickets) != 2 || tickets[0] == "" || tickets[0] != tickets[1] || strings.Count(c.stderr.String(), note) != 1 {
		t.Errorf("asked with the tickets %q, and printed %q", tickets, &c.stderr)
	}
	tickets, die = nil, 100
	c = newCommand(t, home, "publish", "scene.py")
	c.finish(t, 1)
	if len(tickets) != 1+revivals || strings.Count(c.stderr.String(), note) != revivals {
		t.Errorf("asked %d times, and printed %q", len(tickets), &c.stderr)
	}
}

// TestPublishInterrupted checks that the first Ctrl-C cancels the job by leaving.
func TestPublishInterrupted(t *testing.T) {
	home := t.TempDir()
	f := newFakeNode(home)
	f.hang = true
	started := make(chan struct{}, 1)
	f.events = func(node.PublishRequest) []node.Event {
		started <- struct{}{}
		return []node.Event{{Event: "planning", Frames: 1}}
	}
	f.serve(t, home)
	for _, test := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}} {
		c := newCommand(t, home, "publish", "scene.py", "--json")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-started:
		case <-time.After(30 * time.Second):
			c.finish(t, test.code)
			t.Fatal("no job arrived")
		}
		if err := c.Process.Signal(test.signal); err != nil {
			t.Skipf("no such signal on this system: %v", err)
		}
		c.finish(t, test.code)
		<-f.left
		if want := fmt.Sprintf("{%q:%q,%q:%q,%q:%q}\n", "event", "failed", "text", &interrupt{test.signal}, "kind", "canceled"); !strings.HasSuffix(c.stdout.String(), want) {
			t.Errorf("%v: prints %q", test.signal, &c.stdout)
		}
		if c.stderr.String() != "meshnode: interrupted: the job is canceled\n" {
			t.Errorf("%v: prints %q", test.signal, &c.stderr)
		}
	}
}

// TestPublishDetached checks that publish leaves a job that is planned, and says
// how to find it again.
func TestPublishDetached(t *testing.T) {
	home := t.TempDir()
	f := newFakeNode(home)
	f.hang = true
	var got node.PublishRequest
	f.events = func(req node.PublishRequest) []node.Event {
		got = req
		return []node.Event{{Event: "planning"}, {Event: "log", Text: "Hello"}, {Event: "planned", Job: "bafkreiabcdefghijklmnop", Name: "SineCurve"}}
	}
	f.serve(t, home)
	c := newCommand(t, home, "publish", "--detach", "scene.py")
	c.finish(t, 0)
	<-f.left
	if c.stdout.String() != "bafkreiabcdefghijklmnop\n" || !strings.Contains(c.stderr.String(), "meshnode watch ijklmnop") || !got.Detach {
		t.Errorf("prints %q and %q; detached: %v", &c.stdout, &c.stderr, got.Detach)
	}
	c = newCommand(t, home, "publish", "--detach", "--json", "scene.py")
	c.finish(t, 0)
	<-f.left
	if out := c.stdout.String(); strings.Count(out, "\n") != 3 || !strings.Contains(out, `{"event":"planned","job":"bafkreiabcdefghijklmnop"`) {
		t.Errorf("prints %q in JSON", out)
	}
	f.hang = false
	f.events = func(node.PublishRequest) []node.Event {
		return []node.Event{{Event: "failed", Kind: node.FailedScene, Text: "Traceback"}}
	}
	c = newCommand(t, home, "publish", "--detach", "scene.py")
	c.finish(t, 1)
	if c.stderr.String() != "Traceback\n" {
		t.Errorf("prints %q", &c.stderr)
	}
}

// TestWatch checks that watch tells what publish tells, ends as the job does, and
// leaves it alone.
func TestWatch(t *testing.T) {
	home := t.TempDir()
	f := newFakeNode(home)
	f.serve(t, home)
	c := newCommand(t, home, "watch", "ijklmnop")
	c.finish(t, 0)
	golden(t, "quiet.out", c.stdout.String())
	golden(t, "quiet.err", c.stderr.String())
	c = newCommand(t, home, "watch", "unknown")
	c.finish(t, 1)
	if want := "meshnode: no job published on this node has the id \"unknown\"\n"; c.stderr.String() != want {
		t.Errorf("prints %q", &c.stderr)
	}
	f.events = func(node.PublishRequest) []node.Event {
		return []node.Event{{Event: "failed", Kind: node.FailedCanceled}}
	}
	c = newCommand(t, home, "watch", "--json", "ijklmnop")
	c.finish(t, 1)
	if c.stdout.String() != "{\"event\":\"failed\",\"kind\":\"canceled\"}\n" {
		t.Errorf("prints %q", &c.stdout)
	}

	f.hang = true
	started := make(chan struct{}, 1)
	f.events = func(node.PublishRequest) []node.Event {
		started <- struct{}{}
		return []node.Event{{Event: "planning"}}
	}
	c = newCommand(t, home, "watch", "ijklmnop")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	<-started
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Skipf("no such signal on this system: %v", err)
	}
	c.finish(t, 130)
	<-f.left
	if !strings.Contains(c.stderr.String(), "the job goes on without being watched") {
		t.Errorf("prints %q", &c.stderr)
	}
}

// TestPublishStartsNode checks that a job starts a node where none runs, with
// the options meant for it.
func TestPublishStartsNode(t *testing.T) {
	home := filepath.Join(t.TempDir(), "new")
	c := newCommand(t, home, "publish", "scene.py", "--mesh", "lab", "--peer", testPeer, "--no-mdns", "--python", "./py", "--slots", "1")
	if err := os.WriteFile(filepath.Join(c.Dir, "py"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	c.Env = append(c.Env, asNode+"=serve")
	c.finish(t, 0)
	golden(t, "quiet.out", c.stdout.String())
	log, err := os.ReadFile(filepath.Join(home, "node.log"))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("started as %q\n", []string{"run", "--for-clients", "--home", home, "--mesh", "lab", "--peer", testPeer, "--no-mdns", "--python", filepath.Join(c.Dir, "py")})
	if string(log) != want {
		t.Errorf("node.log is %q, want %q", log, want)
	}
}

func TestPublishNodeDies(t *testing.T) {
	home := t.TempDir()
	for range 2 {
		c := newCommand(t, home, "publish", "scene.py", "--json")
		c.Env = append(c.Env, asNode+"=die")
		c.finish(t, 1)
		got := c.stderr.String()
		if !strings.HasPrefix(got, "meshnode: the node that was to render this ended at once: see "+filepath.Join(home, "node.log")) ||
			!strings.HasSuffix(got, "\nmeshnode: no room for the store\n") || strings.Count(got, "started as") != 1 {
			t.Errorf("prints %q", got)
		}
		if out := c.stdout.String(); !strings.HasPrefix(out, `{"event":"failed","text":"the node that was to render this ended at once`) || strings.Count(out, "\n") != 1 {
			t.Errorf("prints %q in JSON", out)
		}
	}
}

// TestPublishWaitsForHome checks that a node which owns the home but does not
// listen, as it is starting or ending, is waited for.
func TestPublishWaitsForHome(t *testing.T) {
	home := t.TempDir()
	c := newCommand(t, home, "publish", "scene.py")
	c.Env = append(c.Env, asNode+"=wait")
	c.finish(t, 0)
	golden(t, "quiet.out", c.stdout.String())
}

// TestSecondRun starts a real node, on loopback, and another on the same home.
func TestSecondRun(t *testing.T) {
	home := t.TempDir()
	args := []string{"run", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--slots", "0", "--name", "first"}
	first := newCommand(t, home, args...)
	first.Stdout = nil
	stdout, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout) // ends with the command
	var said strings.Builder
	for !strings.Contains(said.String(), "\nblocks ") && lines.Scan() {
		said.WriteString(lines.Text() + "\n")
	}
	if out := said.String(); !strings.HasPrefix(out, "node       first\n") || !strings.Contains(out, "/ip4/127.0.0.1/tcp/") {
		t.Errorf("run prints %q, then %q", out, &first.stderr)
	}
	client := api.NewClient(home)
	if s, err := client.Status(t.Context()); err != nil || s.Self.Advert == nil || s.Self.Name != "first" || s.Self.Slots != 0 {
		t.Errorf("status %+v, %v", s.Self, err)
	}
	second := newCommand(t, home, args...)
	second.finish(t, exitInUse)
	if want := fmt.Sprintf("(process %d)", first.Process.Pid); !strings.Contains(second.stderr.String(), want) {
		t.Errorf("the second run prints %q, want %q", &second.stderr, want)
	}
	if err := client.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.finish(t, 0)
}
