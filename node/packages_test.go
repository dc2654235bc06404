// SPDX-License-Identifier: MIT

package node

import (
	"slices"
	"strings"
	"testing"

	"meshnode/renderer/synthetic"
)

// TestPackages: a node that lacks a package of the scene renders none of it, and
// the user is told which one; the others do.
func TestPackages(t *testing.T) {
	m := newMesh(t)
	has := []string{"slides 1.0", "voices 2.0"}
	submitter := m.add(&synthetic.Renderer{Packages: has}, 1)
	able := m.add(&synthetic.Renderer{Packages: has}, 1)
	old := m.add(&synthetic.Renderer{Packages: []string{"slides 0.9"}}, 1)
	m.settle()
	scene := demo
	scene.Packages = []string{"slides 1.0"}
	req, _ := m.scene(scene, 0)
	var said events
	submitter.Publish(t.Context(), req, said.add)
	last := said.last()
	if last.Event != "finished" || slices.ContainsFunc(last.Nodes, func(n NodeFrames) bool { return n.Peer != able.self }) {
		t.Errorf("ended with %+v", last)
	}
	notes := 0
	for _, e := range said.all {
		if e.Event == "note" && strings.HasPrefix(e.Text, "node2 does not render this: package slides 0.9 here, the scene uses 1.0") {
			notes++
		}
	}
	if notes != 1 {
		t.Errorf("%d notes of what %s lacks: %+v", notes, old.self.Short(), said.all)
	}
}
