// SPDX-License-Identifier: MIT

package node

import (
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer/synthetic"
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
