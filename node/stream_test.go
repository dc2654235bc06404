// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer/synthetic"
)

// viewer is somebody who watches, and what he has seen.
type viewer struct {
	done chan error
	mu   sync.Mutex
	got  bytes.Buffer
}

func (v *viewer) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.got.Write(p)
}

func (v *viewer) bytes() []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	return bytes.Clone(v.got.Bytes())
}

// watch follows a job until its end.
func watch(t *testing.T, n *Node, id string) *viewer {
	t.Helper()
	viewing, err := n.Follow(id, FollowRequest{})
	if err != nil {
		t.Fatal(err)
	}
	v := &viewer{done: make(chan error, 1)}
	go func() {
		defer viewing.End()
		v.done <- viewing.Write(t.Context(), v, func() {})
	}()
	return v
}

func (v *viewer) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-v.done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the viewer still waits")
		return nil
	}
}

func TestFollow(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{Slow: 5 * time.Millisecond}, 1)
	m.add(&synthetic.Renderer{Slow: 5 * time.Millisecond}, 1)
	m.settle()
	req, path := m.scene(demo, 1)
	first := make(chan *viewer, 1)
	var early []byte
	submitter.Publish(t.Context(), req, func(e Event) {
		switch e.Event {
		case "planned":
			first <- watch(t, submitter, e.Job.Short())
		case "assembling":
			v := <-first
			early = v.bytes()
			first <- v
		}
	})
	v := <-first
	if err := v.ended(t); err != nil {
		t.Fatal(err)
	}
	film, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(v.bytes(), film) {
		t.Errorf("%d bytes were seen, and not the film's %d (%v)", len(v.bytes()), len(film), err)
	}
	if len(early) == 0 {
		t.Error("nothing was to be seen before the film was there")
	}
	m.forgotten()
}

// TestFollowOutlivesTheJob: a film is longer than its render; who watches it has
// the blocks as long as he needs them.
func TestFollowOutlivesTheJob(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{}, 1)
	m.settle()
	scene := demo
	scene.Bytes = 3 << 20 // more than a block
	req, path := m.scene(scene, 1)
	var id job.ID
	out, in := io.Pipe()
	done := make(chan error, 1)
	n.Publish(t.Context(), req, func(e Event) {
		if e.Event != "planned" {
			return
		}
		id = e.Job
		viewing, err := n.Follow(string(id), FollowRequest{})
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer viewing.End()
			done <- viewing.Write(t.Context(), in, func() {})
			in.Close()
		}()
	})
	m.wait("the job to be forgotten", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.works) == 0
	})
	if _, err := n.parts.Store.Collect(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	film, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(out); err != nil || !bytes.Equal(got, film) {
		t.Errorf("%d bytes were seen, and not the film's %d (%v)", len(got), len(film), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	m.wait("the film to be let go", func() bool {
		viewing, err := n.Follow(string(id), FollowRequest{})
		if err == nil {
			viewing.End()
		}
		return err != nil
	})
	m.wait("the blocks to be unpinned", func() bool {
		owners, err := n.parts.Store.Owners(t.Context())
		return err == nil && len(owners) == 0
	})
}

func TestFollowAJobThatFails(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{Fail: func(_ *job.Manifest, cell uint32) error {
		if cell == 3 {
			return errors.New("no such texture")
		}
		return nil
	}}, 1)
	m.settle()
	req, _ := m.scene(demo, 1)
	seen := make(chan *viewer, 1)
	n.Publish(t.Context(), req, func(e Event) {
		if e.Event == "planned" {
			seen <- watch(t, n, string(e.Job))
		}
	})
	v := <-seen
	if err := v.ended(t); !errors.Is(err, errIncomplete) {
		t.Errorf("the viewing ended with %v", err)
	}
	if !bytes.HasPrefix(film(demo), v.bytes()) {
		t.Error("what was seen is no beginning of the film")
	}
	m.forgotten()
}

func TestFollowIsCanceled(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{Slow: time.Second}, 1)
	m.settle()
	req, _ := m.scene(demo, 1)
	ctx, stop := context.WithCancel(t.Context())
	watching, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	n.Publish(ctx, req, func(e Event) {
		if e.Event != "planned" {
			return
		}
		viewing, err := n.Follow(string(e.Job), FollowRequest{})
		if err != nil {
			t.Error(err)
			return
		}
		leave()
		done <- viewing.Write(watching, io.Discard, func() {})
		viewing.End()
		viewing.End() // twice is harmless
		stop()
	})
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the viewing ended with %v", err)
	}
	m.forgotten()
}

// TestWatchable: the client is told when there is something to see and enough to
// come.
func TestWatchable(t *testing.T) {
	for _, test := range []struct {
		slow time.Duration
		want bool
	}{{60 * time.Millisecond, true}, {0, false}} {
		m := newMesh(t)
		n := m.add(&synthetic.Renderer{Slow: test.slow}, 1)
		m.settle()
		req, _ := m.scene(demo, 1)
		ctx, stop := context.WithCancel(t.Context())
		told := false
		n.Publish(ctx, req, func(e Event) {
			if e.Event == "watchable" {
				told = true
				stop()
			}
		})
		stop()
		if told != test.want {
			t.Errorf("with %v for a frame the client was told: %v", test.slow, told)
		}
	}
}

// TestOneShowsTheFilm: of those who want to show it in place of the renderer, the
// first may, unless the renderer is about to.
func TestOneShowsTheFilm(t *testing.T) {
	n := &Node{streams: map[job.ID]*stream{
		"aaaa1111": newStream(&job.Manifest{FPS: 1}), "bbbb1111": newStream(&job.Manifest{FPS: 1}),
	}}
	show := FollowRequest{Preview: true}
	if _, err := n.Follow("aaaa1111", show); err != nil {
		t.Error(err)
	}
	if _, err := n.Follow("aaaa1111", show); err == nil {
		t.Error("two show one film")
	}
	if _, err := n.Follow("aaaa1111", FollowRequest{}); err != nil {
		t.Error(err)
	}
	if !n.streams["aaaa1111"].decide() || n.streams["bbbb1111"].decide() {
		t.Error("the renderer is told the wrong thing")
	}
	if _, err := n.Follow("bbbb1111", show); err == nil {
		t.Error("the renderer shows a film, and so does somebody else")
	}
	for id, want := range map[string]string{"1111": "several jobs", "111": "no job", "cccc1111": "no job", "": "no job"} {
		if _, err := n.Follow(id, FollowRequest{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("follow %q: %v", id, err)
		}
	}
}
