// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"image"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer/synthetic"
	"meshnode/scheduler"
)

// version is a synthetic environment that nothing else is like.
func version(v string) job.Environment {
	return job.Environment{Renderer: "synthetic", Version: v, Fingerprint: "made for " + v, SelfTest: "tested for " + v}
}

// TestEachJobInItsEnvironment: nodes offer all their environments, a job is
// planned in the one that is asked for, and rendered by those who have it.
func TestEachJobInItsEnvironment(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{Installed: []job.Environment{version("2"), version("1")}}, 0)
	m.add(&synthetic.Renderer{Installed: []job.Environment{version("1"), version("2")}, Slow: time.Millisecond}, 2)
	only1 := m.add(&synthetic.Renderer{Installed: []job.Environment{version("1")}, Slow: time.Millisecond}, 2)
	m.settle()
	for _, c := range []struct {
		want   string // of publish
		needed string
		nodes  int
	}{{"", "2", 1}, {"1", "1", 2}} {
		req, _ := m.scene(demo, 0)
		req.Manim = c.want
		var got events
		submitter.Publish(t.Context(), req, got.add)
		last := got.last()
		if last.Event != "finished" || len(last.Nodes) != c.nodes {
			t.Errorf("version %q: ended with %+v; want %d nodes", c.want, last, c.nodes)
		}
		for _, n := range last.Nodes {
			if c.needed == "2" && n.Peer == only1.self {
				t.Errorf("a node without version 2 rendered %d frames", n.Frames)
			}
		}
	}
	req, _ := m.scene(demo, 0)
	req.Manim = "3"
	var got events
	submitter.Publish(t.Context(), req, got.add)
	if last := got.last(); last.Event != "failed" || last.Kind != FailedUsage || !strings.Contains(last.Text, "3") {
		t.Errorf("a version that nobody has: ended with %+v", last)
	}
}

// TestStatusTellsWhatIsMissing: a node says which version would let it help.
func TestStatusTellsWhatIsMissing(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{Installed: []job.Environment{version("2")}, Slow: 50 * time.Millisecond}, 1)
	old := m.add(&synthetic.Renderer{Installed: []job.Environment{version("1"), version("0")}}, 2)
	m.settle()
	req, _ := m.scene(demo, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		submitter.Publish(t.Context(), req, func(Event) {})
	}()
	want := `renderer: synthetic 1 and 0 here, the job needs 2: run "meshnode setup --synthetic 2"`
	m.wait("the note", func() bool {
		notes := old.Status().Notes
		return len(notes) == 1 && notes[0] == want
	})
	<-done
}

// picture returns a PNG file of one grey picture, with some of its values raised.
func picture(t *testing.T, values int, by byte) []byte {
	t.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, 200, 150))
	for i := range p.Pix {
		p.Pix[i] = 100
	}
	for i := range values {
		p.Pix[i] += by
	}
	var out bytes.Buffer
	if err := png.Encode(&out, p); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestLikeEnvironments: nodes whose self-test gives other bytes are admitted if
// their pictures are like the submitter's, unless it is strict.
func TestLikeEnvironments(t *testing.T) {
	m := newMesh(t)
	with := func(name string, pictures []byte) *synthetic.Renderer {
		env := version("1")
		env.Fingerprint, env.SelfTest, env.Pictures = name, "of "+name, job.CIDOf(pictures)
		return &synthetic.Renderer{Installed: []job.Environment{env}, Pictures: map[string][]byte{name: pictures}, Slow: time.Millisecond}
	}
	submitter := m.add(with("ours", picture(t, 0, 0)), 1)
	like := m.add(with("like", picture(t, 50, 1)), 2)
	m.add(with("unlike", picture(t, 50, 2)), 2)
	m.settle()
	compared := func(n *Node) int {
		known := 0
		n.ask(func(s *scheduler.Scheduler) { known = s.Compared() })
		return known
	}
	m.wait("all comparisons", func() bool {
		for _, n := range m.nodes {
			if compared(n) < 2 {
				return false
			}
		}
		return true
	})
	for _, strict := range []bool{false, true} {
		req, _ := m.scene(demo, 0)
		if strict {
			req, _ = m.scene(demo, 1)
		}
		req.Strict = strict
		var got events
		submitter.Publish(t.Context(), req, got.add)
		last := got.last()
		who := like.self
		if strict {
			who = submitter.self
		}
		if last.Event != "finished" || len(last.Nodes) != 1 || last.Nodes[0].Peer != who {
			t.Errorf("strict %v: ended with %+v", strict, last)
		}
		noted := slices.ContainsFunc(got.all, func(e Event) bool {
			return e.Event == "note" && strings.Contains(e.Text, "within the tolerance of Manim's own tests")
		})
		if noted == strict {
			t.Errorf("strict %v: people were told that somebody draws differently: %v", strict, noted)
		}
	}
}
