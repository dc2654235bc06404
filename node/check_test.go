// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
	"meshnode/scheduler"
)

// retouched renders cells with other bytes than they should have, where that is wanted.
type retouched struct {
	*synthetic.Renderer
	cell func(trust renderer.Trust, cell uint32) bool
}

func (r *retouched) Take(ctx context.Context, trust renderer.Trust, env string) (renderer.Engine, error) {
	e, err := r.Renderer.Take(ctx, trust, env)
	if err != nil {
		return nil, err
	}
	return &retoucher{e, r, trust}, nil
}

type retoucher struct {
	renderer.Engine
	r     *retouched
	trust renderer.Trust
}

func (e *retoucher) Render(ctx context.Context, cell uint32) (*renderer.Rendered, error) {
	out, err := e.Engine.Render(ctx, cell)
	if err == nil && e.r.cell(e.trust, cell) {
		data, readErr := e.Out().ReadFile(out.Files[0])
		if readErr != nil {
			return nil, readErr
		}
		data[0] ^= 1
		err = e.Out().WriteFile(out.Files[0], data, 0o600)
	}
	return out, err
}

// withRetouched joins a node that alters cells.
func (m *mesh) withRetouched(r *synthetic.Renderer, slots uint32, cell func(renderer.Trust, uint32) bool) *Node {
	return m.join(r, slots, func(p *Parts) { p.Renderer = &retouched{r, cell} })
}

func (e *events) said(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.all, func(ev Event) bool { return strings.Contains(ev.Text, text) })
}

// A peer that alters cells is found out: the film is right, the peer is blocked, both
// results are kept, and the user is told.
func TestCheckFindsOut(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{Slow: time.Millisecond}, 2)
	liar := m.withRetouched(&synthetic.Renderer{Slow: time.Millisecond}, 2, func(_ renderer.Trust, cell uint32) bool { return cell%2 == 0 })
	m.add(&synthetic.Renderer{Slow: time.Millisecond}, 2)
	m.settle()
	req, path := m.scene(demo, 1)
	req.Trust = "known"
	var got events
	submitter.Publish(t.Context(), req, got.add)
	if last := got.last(); last.Event != "finished" {
		t.Fatalf("ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film is not the scene's (%v)", err)
	}
	if !got.said("nothing that node1 renders counts any more") {
		t.Errorf("the user was not told: %+v", got.all)
	}
	m.wait("the liar to be blocked", func() bool { return submitter.roles.role(liar.self) == RoleBlocked })
	kept, err := submitter.parts.Records.Read("evidence/")
	if err != nil || len(kept) != 1 {
		t.Fatalf("evidence %v, %v", kept, err)
	}
	m.wait("the results to be all that is pinned", func() bool {
		owners, err := submitter.parts.Store.Owners(t.Context())
		return err == nil && slices.Equal(owners, []string{pinEvidence + string(liar.self)})
	})
}

// An honest peer is not blamed for what is wrong with the submitter.
func TestCheckDoubtsItself(t *testing.T) {
	for _, test := range []struct {
		name  string
		cell  func(times *atomic.Int32, trust renderer.Trust) bool
		alone bool
	}{
		{"a slip", func(times *atomic.Int32, trust renderer.Trust) bool {
			return trust == renderer.Own && times.Add(1) == 1
		}, false},
		{"walks that differ", func(_ *atomic.Int32, trust renderer.Trust) bool { return trust == renderer.Own }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMesh(t)
			var times atomic.Int32
			submitter := m.withRetouched(&synthetic.Renderer{Slow: time.Millisecond}, 1, func(trust renderer.Trust, _ uint32) bool { return test.cell(&times, trust) })
			worker := m.add(&synthetic.Renderer{}, 2)
			m.settle()
			req, path := m.scene(demo, 0)
			req.Trust = "known"
			var got events
			submitter.Publish(t.Context(), req, got.add)
			if last := got.last(); last.Event != "finished" {
				t.Fatalf("ended with %+v", last)
			}
			if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
				t.Errorf("the film is not the scene's (%v)", err)
			}
			if submitter.roles.role(worker.self) == RoleBlocked || got.said("nothing that node1 renders counts") {
				t.Errorf("an honest peer was blamed: %+v", got.all)
			}
			if alone := got.said("does not look the same each time"); alone != test.alone {
				t.Errorf("rendered alone: %v, want %v", alone, test.alone)
			}
		})
	}
}

// Who draws a little differently is believed as long as it shows the same; who does
// not, is left out of the job, but not blocked: that may be honest.
func TestCheckOfAnotherMachine(t *testing.T) {
	own, other := environmentOf("own"), environmentOf("other")
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{Slow: time.Millisecond, Installed: []job.Environment{own}}, 2)
	unlike := m.withRetouched(&synthetic.Renderer{Slow: time.Millisecond, Installed: []job.Environment{other}}, 2, func(renderer.Trust, uint32) bool { return true })
	m.settle()
	req, path := m.scene(demo, 1)
	req.Trust = "known"
	var got events
	submitter.Publish(t.Context(), req, got.add)
	if last := got.last(); last.Event != "finished" {
		t.Fatalf("ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film is not the scene's (%v)", err)
	}
	if !got.said("nothing that node1 renders counts any more") {
		t.Errorf("the user was not told: %+v", got.all)
	}
	if submitter.roles.role(unlike.self) == RoleBlocked {
		t.Error("who draws otherwise is blocked")
	}
}

// strict is a renderer whose sandboxed engines take nothing for a cell.
type strict struct{ *synthetic.Renderer }

func (r *strict) Take(ctx context.Context, trust renderer.Trust, env string) (renderer.Engine, error) {
	e, err := r.Renderer.Take(ctx, trust, env)
	if err != nil {
		return nil, err
	}
	return &refusing{e}, nil
}

type refusing struct{ renderer.Engine }

func (*refusing) Look(context.Context, uint32, []string) error { return renderer.ErrNoCell }

// What is no cell is seen before the submitter's own engine opens it, unless all nodes
// are the user's own.
func TestStrangersCellsAreLookedAt(t *testing.T) {
	for _, trust := range []string{"known", "mine"} {
		m := newMesh(t)
		submitter := m.join(&synthetic.Renderer{}, 1, func(p *Parts) { p.Renderer = &strict{p.Renderer.(*synthetic.Renderer)} })
		worker := m.add(&synthetic.Renderer{Slow: time.Millisecond}, 2)
		m.settle()
		req, path := m.scene(demo, 1)
		req.Trust = trust
		var got events
		submitter.Publish(t.Context(), req, got.add)
		if last := got.last(); last.Event != "finished" {
			t.Fatalf("%s: ended with %+v", trust, last)
		}
		if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
			t.Errorf("%s: the film is not the scene's (%v)", trust, err)
		}
		if refused := got.said("nothing that node1 renders counts any more: its output is not what was asked for"); refused != (trust == "known") {
			t.Errorf("%s: refused: %v", trust, refused)
		}
		if trust == "known" {
			m.wait("the peer to be blocked", func() bool { return submitter.roles.role(worker.self) == RoleBlocked })
		}
	}
}

// environmentOf is an environment with the self-test of all.
func environmentOf(fingerprint string) job.Environment {
	return job.Environment{Renderer: "synthetic", Version: "1", Fingerprint: fingerprint, SelfTest: "same"}
}

func TestTrustIsChecked(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{}, 1)
	req, _ := m.scene(demo, 1)
	req.Trust = "some"
	var got events
	if n.Publish(t.Context(), req, got.add); got.last().Kind != FailedUsage {
		t.Errorf("ended with %+v", got.last())
	}
	if trust := n.trust(PublishRequest{}); trust != scheduler.TrustSpot {
		t.Errorf("in an open mesh: %v", trust)
	}
	n.parts.Mesh.Secret = []byte("secret")
	if trust := n.trust(PublishRequest{}); trust != scheduler.TrustMine {
		t.Errorf("in a private mesh: %v", trust)
	}
}

// watched is a renderer whose sandbox and whose looks may fail.
type watched struct {
	*synthetic.Renderer
	sandbox func() error
	look    func(cell uint32) error
}

func (r *watched) Sandbox(ctx context.Context) (string, error) {
	if err := r.sandbox(); err != nil {
		return "none", err
	}
	return r.Renderer.Sandbox(ctx)
}

func (r *watched) Take(ctx context.Context, trust renderer.Trust, env string) (renderer.Engine, error) {
	e, err := r.Renderer.Take(ctx, trust, env)
	if err != nil {
		return nil, err
	}
	return &onlooker{Engine: e, r: r}, nil
}

type onlooker struct {
	renderer.Engine
	r     *watched
	ended atomic.Bool
}

func (e *onlooker) Look(_ context.Context, cell uint32, _ []string) error {
	if e.ended.Load() {
		return renderer.ErrEnded
	}
	err := e.r.look(cell)
	if errors.Is(err, renderer.ErrEnded) {
		e.ended.Store(true)
	}
	return err
}

// What cannot be looked at is not taken, unless all nodes are the user's own; nobody is
// blocked for it. An engine that has ended over a cell is replaced, and only a cell that
// ends each is left to others.
func TestNothingIsTakenUnlooked(t *testing.T) {
	noSandbox := errors.New("no sandbox holds here")
	ended := fmt.Errorf("%w: %w", renderer.ErrMemory, renderer.ErrEnded)
	yes, nothing := func() error { return nil }, func(uint32) error { return nil }
	var looks atomic.Int32
	for _, test := range []struct {
		name, trust string
		sandbox     func() error
		look        func(cell uint32) error
		taken       bool   // what the peer has rendered
		said        string // to the user
	}{
		{"no sandbox", "spot", func() error { return noSandbox }, nothing, false, "give --trust mine"},
		{"no sandbox, own nodes", "mine", func() error { return noSandbox }, nothing, true, ""},
		{"one engine ends", "spot", yes, func(uint32) error {
			if looks.Add(1) == 1 {
				return ended
			}
			return nil
		}, true, ""},
		{"all engines end", "spot", yes, func(uint32) error { return ended }, false, "its output cannot be fetched"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t)
			submitter := m.join(&synthetic.Renderer{}, 1, func(p *Parts) {
				p.Renderer = &watched{p.Renderer.(*synthetic.Renderer), test.sandbox, test.look}
				p.Times.Retry = 100 * time.Millisecond
				p.Times.TTL = time.Second // until bytes that are not to be had are held against their peer
			})
			worker := m.add(&synthetic.Renderer{Slow: time.Millisecond}, 2)
			m.settle()
			req, path := m.scene(demo, 1)
			req.Trust = test.trust
			var got events
			submitter.Publish(t.Context(), req, got.add)
			last := got.last()
			if last.Event != "finished" {
				t.Fatalf("ended with %+v", last)
			}
			if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
				t.Errorf("the film is not the scene's (%v)", err)
			}
			if taken := slices.ContainsFunc(last.Nodes, func(f NodeFrames) bool { return f.Peer == worker.self }); taken != test.taken {
				t.Errorf("cells of the peer are in the film: %v", taken)
			}
			if test.said != "" && !got.said(test.said) {
				t.Errorf("the user was not told: %+v", got.all)
			}
			if submitter.roles.role(worker.self) == RoleBlocked || got.said("counts any more") != (test.name == "all engines end") {
				t.Errorf("an honest peer was blamed: %+v", got.all)
			}
		})
	}
}

// A look that takes longer than what the peer has to give the cell is not held against
// the peer.
func TestSlowLookIsNoFault(t *testing.T) {
	m := newMesh(t)
	fetching, end := context.WithCancel(m.soon())
	submitter := m.join(&synthetic.Renderer{Slow: time.Second}, 1, func(p *Parts) {
		late := func(uint32) error { end(); return nil }
		p.Renderer = &watched{p.Renderer.(*synthetic.Renderer), func() error { return nil }, late}
	})
	m.settle()
	req, _ := m.scene(demo, 1)
	req.Trust = "spot"
	submitter.Publish(m.soon(), req, func(e Event) {
		if e.Event != "planned" {
			return
		}
		given := blockstore.Source{Path: "cell", Size: 3000, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(synthetic.Bytes(demo, 0))), nil
		}}
		output, set, err := submitter.parts.Store.Import(m.soon(), []blockstore.Source{given})
		if err != nil {
			t.Error(err)
			return
		}
		bad, err := submitter.collectCell(fetching, submitter.workOn(e.Job), scheduler.Fetch{Job: e.Job, CID: output, Size: set.Size()})
		if bad || err != nil || fetching.Err() == nil {
			t.Errorf("the cell was not taken: bad %v, %v (looked at: %v)", bad, err, fetching.Err() != nil)
		}
		_ = submitter.Cancel(e.Job.Short())
	})
}
