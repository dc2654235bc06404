// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
)

// differs fails cells as an engine does whose walk is not the plan's.
func differs(*job.Manifest, uint32) error {
	return fmt.Errorf("%w: play 1 differs from the plan", renderer.ErrDiverged)
}

func TestWalksThatDiffer(t *testing.T) {
	unsteady := demo
	unsteady.Differs = "play 0 differs from the plan"
	for _, test := range []struct {
		name       string
		scene      synthetic.Scene
		workers    []*synthetic.Renderer
		localSlots uint32
		note       string // among those of the job
		by         int    // nodes that the frames are of, at most
		alone      bool   // the submitter, in a second plan
	}{
		{name: "one worker", scene: demo, workers: []*synthetic.Renderer{{Fail: differs}, {Slow: 2 * time.Millisecond}},
			note: "node1 leaves the job: play 1 differs", by: 1},
		{name: "the scene", scene: unsteady, workers: []*synthetic.Renderer{{Fail: differs}, {Slow: 50 * time.Millisecond}},
			note: "the scene plays differently each time: play 0 differs from the plan: this node renders it alone", by: 1, alone: true},
		{name: "every worker", scene: demo, workers: []*synthetic.Renderer{{Fail: differs}, {Fail: differs}},
			note: "the scene plays differently on every other node: play 1 differs", by: 1, alone: true},
		{name: "every worker but the submitter", scene: demo, workers: []*synthetic.Renderer{{Fail: differs}, {Fail: differs}}, localSlots: 1,
			note: "leaves the job: play 1 differs", by: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMesh(t)
			submitter := m.add(&synthetic.Renderer{Slow: time.Millisecond}, 1)
			for _, r := range test.workers {
				m.add(r, 1)
			}
			m.settle()
			req, path := m.scene(test.scene, test.localSlots)
			var got events
			submitter.Publish(t.Context(), req, got.add)
			last := got.last()
			if last.Event != "finished" {
				t.Fatalf("ended with %+v", last)
			}
			if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(test.scene)) {
				t.Errorf("the film differs (%v)", err)
			}
			frames, self := uint32(0), false
			for _, n := range last.Nodes {
				frames, self = frames+n.Frames, self || n.Self
			}
			if frames != 135 || len(last.Nodes) > test.by || test.alone && !self {
				t.Errorf("frames by node: %+v", last.Nodes)
			}
			told, plans := false, 0
			for _, e := range got.all {
				told = told || e.Event == "note" && strings.Contains(e.Text, test.note)
				if e.Event == "planning" && e.Plays == 0 {
					plans++
				}
			}
			if !told || plans > 1 != test.alone {
				t.Errorf("after %d plans: %+v", plans, got.all)
			}
			m.forgotten()
		})
	}
}
