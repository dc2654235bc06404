// SPDX-License-Identifier: MIT

// Package p2ptest checks that an implementation of [p2p.Network] keeps its
// promises.
package p2ptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
)

// Node is a network that does nothing before it is started.
type Node interface {
	p2p.Network
	Start() error
}

// Factory makes a node that finds others by Connect alone. The same number
// means the same identity, and what the node remembers across a restart; the
// earlier node of that number is closed by then.
type Factory func(t *testing.T, mesh string, number int) Node

// patience is how long to wait for what must happen.
const patience = 20 * time.Second

// Tests are the conformance tests. Each wants a factory of its own.
var Tests = []struct {
	Name string
	Run  func(t *testing.T, build Factory)
}{
	{"Signatures", testSignatures},
	{"Publish", testPublish},
	{"PublishOnJoin", testPublishOnJoin},
	{"Relay", testRelay},
	{"Reject", testReject},
	{"ListenErrors", testListenErrors},
	{"Adverts", testAdverts},
	{"LeaveAndRejoin", testLeaveAndRejoin},
	{"Request", testRequest},
	{"RequestErrors", testRequestErrors},
	{"RequestDeadline", testRequestDeadline},
	{"OtherMesh", testOtherMesh},
	{"Admit", testAdmit},
	{"ConnectErrors", testConnectErrors},
	{"Concurrent", testConcurrent},
	{"Close", testClose},
}

// recorder is a node with all that it heard.
type recorder struct {
	Node
	t *testing.T

	mu       sync.Mutex
	events   []p2p.Event
	messages []message
	changed  chan struct{} // closed and replaced with each event and message
	ended    chan struct{} // closed when the channel of events is
	verdict  func(message) p2p.Verdict
}

type message struct {
	topic p2p.Topic
	from  job.PeerID
	data  string
}

// start makes and starts a node that listens to both topics, echoes requests
// and advertises "advert <number>".
func start(t *testing.T, build Factory, mesh string, number int) *recorder {
	t.Helper()
	r := &recorder{Node: build(t, mesh, number), t: t, changed: make(chan struct{}), ended: make(chan struct{})}
	t.Cleanup(func() { r.Close() })
	for _, topic := range []p2p.Topic{p2p.Offers, p2p.Work} {
		must(t, r.Listen(topic, func(from job.PeerID, data []byte) p2p.Verdict {
			m := message{topic, from, string(data)}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.messages = append(r.messages, m)
			r.notify()
			if r.verdict != nil {
				return r.verdict(m)
			}
			return p2p.Accept
		}))
	}
	r.Answer(func(_ context.Context, from job.PeerID, data []byte) ([]byte, error) {
		return fmt.Appendf(nil, "%s said %s", from, data), nil
	})
	must(t, r.Advertise(fmt.Appendf(nil, "advert %d", number)))
	go func() {
		defer close(r.ended)
		for e := range r.Events() {
			r.mu.Lock()
			r.events = append(r.events, e)
			r.notify()
			r.mu.Unlock()
		}
	}()
	must(t, r.Start())
	return r
}

func (r *recorder) notify() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// until waits for a condition over what was heard.
func (r *recorder) until(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		done, changed := ok(), r.changed
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("%s: no %s; events %v, messages %v", r.Self(), what, r.events, r.messages)
		}
	}
}

func (r *recorder) hears(m message) {
	r.t.Helper()
	r.until(fmt.Sprintf("message %v", m), func() bool { return slices.Contains(r.messages, m) })
}

// sees waits for an event about a peer; a nil advert matches any.
func (r *recorder) sees(kind p2p.EventKind, peer job.PeerID, advert []byte) {
	r.t.Helper()
	r.until(fmt.Sprintf("event %d of %s with %q", kind, peer, advert), func() bool {
		return slices.ContainsFunc(r.events, func(e p2p.Event) bool {
			return e.Kind == kind && e.Peer == peer && (advert == nil || bytes.Equal(e.Advert, advert))
		})
	})
}

// eventsOf returns the events about a peer so far.
func (r *recorder) eventsOf(peer job.PeerID) []p2p.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.events), func(e p2p.Event) bool { return e.Peer != peer })
}

func (r *recorder) heard() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// connect dials, and waits until both sides have seen the join.
func connect(t *testing.T, from, to *recorder) {
	t.Helper()
	must(t, from.Connect(within(t, patience), to.Addrs()[0]))
	from.sees(p2p.Joined, to.Self(), nil)
	to.sees(p2p.Joined, from.Self(), nil)
}

func testSignatures(t *testing.T, build Factory) {
	a, b := build(t, "m", 1), build(t, "m", 2)
	defer a.Close()
	defer b.Close()
	data := []byte("data")
	sig, err := a.Sign(data)
	must(t, err)
	for range 2 { // the second time from a cache, if there is one
		must(t, a.Verify(a.Self(), data, sig))
		must(t, b.Verify(a.Self(), data, sig))
		if err := b.Verify(b.Self(), data, sig); !errors.Is(err, p2p.ErrSignature) {
			t.Errorf("another's signature: %v", err)
		}
		if err := b.Verify(a.Self(), []byte("date"), sig); !errors.Is(err, p2p.ErrSignature) {
			t.Errorf("other data: %v", err)
		}
		if err := b.Verify(a.Self(), data, nil); !errors.Is(err, p2p.ErrSignature) {
			t.Errorf("no signature: %v", err)
		}
	}
	for _, id := range []job.PeerID{"", "x", a.Self() + "x", "bafzaajaiaejcbpltl72da5f3y7ojrtsa7hsfn5bbnkjbkwyesziqqtdry6vjilku",
		"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"} {
		if err := b.Verify(id, data, sig); !errors.Is(err, p2p.ErrPeerID) {
			t.Errorf("peer id %q: %v", id, err)
		}
	}
}

func testPublish(t *testing.T, build Factory) {
	a, b := start(t, build, "m", 1), start(t, build, "m", 2)
	connect(t, a, b)
	large := string(bytes.Repeat([]byte{7}, job.MaxMessage))
	for _, topic := range []p2p.Topic{p2p.Offers, p2p.Work} {
		for _, data := range []string{"x", large} {
			must(t, a.Publish(within(t, patience), topic, []byte(data)))
			b.hears(message{topic, a.Self(), data})
			must(t, b.Publish(within(t, patience), topic, []byte(data)))
			a.hears(message{topic, b.Self(), data})
		}
		if err := a.Publish(within(t, patience), topic, []byte(large+"x")); !errors.Is(err, p2p.ErrTooLarge) {
			t.Errorf("message over the limit: %v", err)
		}
	}
	if err := a.Publish(within(t, patience), "other", []byte("x")); err == nil {
		t.Error("published to a topic that is none")
	}
	for _, r := range []*recorder{a, b} {
		for _, m := range r.heard() {
			if m.from == r.Self() {
				t.Errorf("heard its own message on %s", m.topic)
			}
		}
	}
}

// What is published upon Joined, at once, arrives: nobody has to wait for a
// heartbeat.
func testPublishOnJoin(t *testing.T, build Factory) {
	for i := range 5 {
		a, b := start(t, build, "m", 2*i), start(t, build, "m", 2*i+1)
		must(t, a.Connect(within(t, patience), b.Addrs()[0]))
		a.sees(p2p.Joined, b.Self(), nil)
		must(t, a.Publish(within(t, patience), p2p.Offers, []byte("a1")))
		must(t, a.Publish(within(t, patience), p2p.Work, []byte("a2")))
		b.sees(p2p.Joined, a.Self(), nil)
		must(t, b.Publish(within(t, patience), p2p.Work, []byte("b1")))
		b.hears(message{p2p.Offers, a.Self(), "a1"})
		b.hears(message{p2p.Work, a.Self(), "a2"})
		a.hears(message{p2p.Work, b.Self(), "b1"})
	}
}

// line connects three nodes so that the ends know only the middle.
func line(t *testing.T, build Factory) (a, b, c *recorder) {
	a, b, c = start(t, build, "m", 1), start(t, build, "m", 2), start(t, build, "m", 3)
	connect(t, a, b)
	connect(t, c, b)
	return a, b, c
}

// retry publishes again until the message is heard: over more than one hop
// gossip needs its heartbeat first.
func retry(t *testing.T, from, to *recorder, data string) {
	t.Helper()
	m := message{p2p.Work, from.Self(), data}
	for range 40 {
		must(t, from.Publish(within(t, patience), p2p.Work, []byte(data)))
		deadline := time.Now().Add(patience / 40)
		for time.Now().Before(deadline) {
			to.mu.Lock()
			there, changed := slices.Contains(to.messages, m), to.changed
			to.mu.Unlock()
			if there {
				return
			}
			select {
			case <-changed:
			case <-time.After(time.Until(deadline)):
			}
		}
	}
	t.Fatalf("%v was not passed on", m)
}

func testRelay(t *testing.T, build Factory) {
	a, _, c := line(t, build)
	retry(t, a, c, "hello")
}

func testReject(t *testing.T, build Factory) {
	a, b, c := line(t, build)
	b.mu.Lock()
	b.verdict = func(m message) p2p.Verdict {
		switch m.data {
		case "bad":
			return p2p.Reject
		case "old":
			return p2p.Ignore
		}
		return p2p.Accept
	}
	b.mu.Unlock()
	retry(t, a, c, "good") // now messages are passed on
	must(t, a.Publish(within(t, patience), p2p.Work, []byte("bad")))
	must(t, a.Publish(within(t, patience), p2p.Work, []byte("old")))
	b.hears(message{p2p.Work, a.Self(), "bad"})
	b.hears(message{p2p.Work, a.Self(), "old"})
	retry(t, a, c, "better")
	for _, m := range c.heard() {
		if m.data == "bad" || m.data == "old" {
			t.Errorf("%q was passed on", m.data)
		}
	}
}

func testListenErrors(t *testing.T, build Factory) {
	a := start(t, build, "m", 1)
	accept := func(job.PeerID, []byte) p2p.Verdict { return p2p.Accept }
	if err := a.Listen(p2p.Work, accept); err == nil {
		t.Error("a second listener was taken")
	}
	if err := a.Listen("other", accept); err == nil {
		t.Error("listened to a topic that is none")
	}
	if err := a.Start(); err == nil {
		t.Error("started twice")
	}
}

func testAdverts(t *testing.T, build Factory) {
	a, b := start(t, build, "m", 1), start(t, build, "m", 2)
	if err := a.Advertise(bytes.Repeat([]byte{1}, job.MaxMessage+1)); !errors.Is(err, p2p.ErrTooLarge) {
		t.Errorf("advert over the limit: %v", err)
	}
	connect(t, a, b)
	a.sees(p2p.Joined, b.Self(), []byte("advert 2"))
	b.sees(p2p.Joined, a.Self(), []byte("advert 1"))
	for i := range 5 {
		must(t, a.Advertise(fmt.Appendf(nil, "change %d", i)))
	}
	b.sees(p2p.Changed, a.Self(), []byte("change 4"))
	events := b.eventsOf(a.Self())
	if events[0].Kind != p2p.Joined {
		t.Errorf("first event is %v", events[0])
	}
	for i, e := range events[1:] {
		if e.Kind != p2p.Changed || i > 0 && bytes.Compare(e.Advert, events[i].Advert) <= 0 {
			t.Errorf("events out of order: %v", events)
		}
	}
	if peers := b.Peers(); len(peers) != 1 || peers[0].ID != a.Self() || string(peers[0].Advert) != "change 4" || len(peers[0].Addrs) == 0 {
		t.Errorf("peers %v", peers)
	}
}

func testLeaveAndRejoin(t *testing.T, build Factory) {
	a, b := start(t, build, "m", 1), start(t, build, "m", 2)
	connect(t, a, b)
	must(t, b.Close())
	a.sees(p2p.Left, b.Self(), nil)
	if peers := a.Peers(); len(peers) != 0 {
		t.Errorf("peers of who was left alone: %v", peers)
	}
	if _, err := a.Request(within(t, patience), b.Self(), nil); !errors.Is(err, p2p.ErrUnreachable) {
		t.Errorf("request to who left: %v", err)
	}
	again := start(t, build, "m", 2)
	if again.Self() != b.Self() {
		t.Fatalf("a restart changed the identity")
	}
	kinds := func() (kinds []p2p.EventKind) {
		for _, e := range a.events {
			kinds = append(kinds, e.Kind)
		}
		return kinds
	}
	want := []p2p.EventKind{p2p.Joined, p2p.Left, p2p.Joined}
	a.until("second join", func() bool { return len(kinds()) >= len(want) })
	if got := kinds(); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	again.sees(p2p.Joined, a.Self(), nil)
	must(t, a.Publish(within(t, patience), p2p.Work, []byte("welcome")))
	again.hears(message{p2p.Work, a.Self(), "welcome"})
}

func testRequest(t *testing.T, build Factory) {
	a, b := start(t, build, "m", 1), start(t, build, "m", 2)
	connect(t, a, b)
	for _, data := range []string{"", "x", string(bytes.Repeat([]byte{7}, job.MaxMessage))} {
		answer, err := a.Request(within(t, patience), b.Self(), []byte(data))
		must(t, err)
		if want := string(a.Self()) + " said " + data; string(answer) != want {
			t.Errorf("answer of %d bytes, want %d", len(answer), len(want))
		}
	}
	for _, size := range []int{0, 1, job.MaxState} {
		b.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return bytes.Repeat([]byte{9}, size), nil })
		answer, err := a.Request(within(t, patience), b.Self(), nil)
		must(t, err)
		if len(answer) != size {
			t.Errorf("answer of %d bytes, want %d", len(answer), size)
		}
	}
}

func testRequestErrors(t *testing.T, build Factory) {
	a, b, stranger := start(t, build, "m", 1), start(t, build, "m", 2), start(t, build, "m", 3)
	connect(t, a, b)
	if _, err := a.Request(context.Background(), b.Self(), nil); err == nil {
		t.Error("request without a deadline")
	}
	if _, err := a.Request(within(t, patience), b.Self(), make([]byte, job.MaxMessage+1)); !errors.Is(err, p2p.ErrTooLarge) {
		t.Errorf("request over the limit: %v", err)
	}
	if _, err := a.Request(within(t, patience), stranger.Self(), nil); !errors.Is(err, p2p.ErrUnreachable) {
		t.Errorf("request to an unknown peer: %v", err)
	}
	if _, err := a.Request(within(t, patience), a.Self(), nil); !errors.Is(err, p2p.ErrUnreachable) {
		t.Errorf("request to itself: %v", err)
	}
	if _, err := a.Request(within(t, patience), "nobody", nil); !errors.Is(err, p2p.ErrPeerID) {
		t.Errorf("request to no peer id: %v", err)
	}
	b.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return nil, errors.New("no") })
	if _, err := a.Request(within(t, patience), b.Self(), nil); err == nil || errors.Is(err, p2p.ErrUnreachable) {
		t.Errorf("answered by an error: %v", err)
	}
	b.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return make([]byte, job.MaxState+1), nil })
	if _, err := a.Request(within(t, patience), b.Self(), nil); err == nil || errors.Is(err, p2p.ErrUnreachable) {
		t.Errorf("answer over the limit: %v", err)
	}
}

func testRequestDeadline(t *testing.T, build Factory) {
	a, b := start(t, build, "m", 1), start(t, build, "m", 2)
	connect(t, a, b)
	release := make(chan struct{})
	b.Answer(func(ctx context.Context, _ job.PeerID, _ []byte) ([]byte, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil, ctx.Err()
	})
	begin := time.Now()
	_, err := a.Request(within(t, 200*time.Millisecond), b.Self(), nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("request without an answer: %v", err)
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("a deadline of 200 ms was kept after %v", took)
	}
	close(release)
}

func testOtherMesh(t *testing.T, build Factory) {
	a, other := start(t, build, "m", 1), start(t, build, "other", 2)
	for range 2 {
		if err := a.Connect(within(t, patience), other.Addrs()[0]); !errors.Is(err, p2p.ErrMesh) {
			t.Errorf("connect to another mesh: %v", err)
		}
	}
	if len(a.Peers())+len(other.Peers())+len(a.eventsOf(other.Self()))+len(other.eventsOf(a.Self())) != 0 {
		t.Error("nodes of two meshes have joined")
	}
	// Each can still be reached by its own kind.
	b := start(t, build, "m", 3)
	connect(t, b, a)
}

func testConnectErrors(t *testing.T, build Factory) {
	a, b := start(t, build, "m", 1), start(t, build, "m", 2)
	addr := b.Addrs()[0]
	must(t, b.Close())
	for _, bad := range []string{"", "x", a.Addrs()[0], "/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/udp/1/p2p/" + string(b.Self())} {
		if err := a.Connect(within(t, patience), bad); err == nil {
			t.Errorf("connected to %q", bad)
		}
	}
	if err := a.Connect(within(t, patience), addr); !errors.Is(err, p2p.ErrUnreachable) {
		t.Errorf("connect to nobody: %v", err)
	}
}

func testConcurrent(t *testing.T, build Factory) {
	nodes := []*recorder{start(t, build, "m", 1), start(t, build, "m", 2), start(t, build, "m", 3)}
	connect(t, nodes[0], nodes[1])
	connect(t, nodes[1], nodes[2])
	connect(t, nodes[2], nodes[0])
	const each = 20
	var wg sync.WaitGroup
	var answered atomic.Int64
	for i, r := range nodes {
		to := nodes[(i+1)%len(nodes)].Self()
		for k := range each {
			wg.Go(func() {
				if answer, err := r.Request(within(t, patience), to, []byte{byte(k)}); err != nil {
					t.Error(err)
				} else if len(answer) > 0 {
					answered.Add(1)
				}
			})
			wg.Go(func() {
				if err := r.Publish(within(t, patience), p2p.Work, []byte{byte(i), byte(k)}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			for k := range each {
				_ = r.Advertise([]byte{byte(k)})
				_ = r.Peers()
				_ = r.Addrs()
			}
		})
	}
	wg.Wait()
	if n := answered.Load(); n != each*int64(len(nodes)) {
		t.Errorf("%d of %d requests answered", n, each*len(nodes))
	}
	for i, r := range nodes {
		for j := range nodes {
			if j == i {
				continue
			}
			r.until("all messages", func() bool {
				n := 0
				for _, m := range r.messages {
					if m.from == nodes[j].Self() {
						n++
					}
				}
				return n == each
			})
			r.until("the last advert", func() bool {
				last := slices.IndexFunc(r.events, func(e p2p.Event) bool {
					return e.Peer == nodes[j].Self() && bytes.Equal(e.Advert, []byte{each - 1})
				})
				return last >= 0
			})
		}
	}
}

func testClose(t *testing.T, build Factory) {
	a, b := start(t, build, "m", 1), start(t, build, "m", 2)
	connect(t, a, b)
	entered, left := make(chan struct{}), make(chan struct{})
	b.Answer(func(ctx context.Context, _ job.PeerID, _ []byte) ([]byte, error) {
		close(entered)
		defer close(left)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	failed := make(chan error, 1)
	go func() {
		_, err := a.Request(within(t, patience), b.Self(), nil)
		failed <- err
	}()
	<-entered
	must(t, b.Close())
	must(t, b.Close())
	select {
	case <-left:
	default:
		t.Error("Close returned while a request was being answered")
	}
	if err := <-failed; err == nil {
		t.Error("a request to who closed was answered")
	}
	<-b.ended
	heard := len(b.heard())
	must(t, a.Publish(within(t, patience), p2p.Work, []byte("too late")))
	a.sees(p2p.Left, b.Self(), nil)
	if len(b.heard()) != heard {
		t.Error("a listener ran after Close")
	}
	for what, err := range map[string]error{
		"publish":   b.Publish(within(t, patience), p2p.Work, nil),
		"advertise": b.Advertise(nil),
		"connect":   b.Connect(within(t, patience), a.Addrs()[0]),
		"start":     b.Start(),
		"listen":    b.Listen(p2p.Work, nil),
	} {
		if !errors.Is(err, p2p.ErrClosed) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
	if _, err := b.Request(within(t, patience), a.Self(), nil); !errors.Is(err, p2p.ErrClosed) {
		t.Errorf("request after Close: %v", err)
	}
}
