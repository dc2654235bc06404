// SPDX-License-Identifier: MIT

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// A scene that asks for chance and for the order of sets is told the same on
// every computer: the same film, whoever renders.
func TestSteadyScene(t *testing.T) {
	m := houseOf(t)
	args := []string{"--cell-frames", "5", "-ql", "--seed", "7", "--progress_bar", "none", "--disable_caching", "unlike.py", "Steady"}
	own := m.computers[0].publish(args...).finished()
	p := m.computers[0].publish(append([]string{"--slots", "0"}, args...)...)
	e := p.finished()
	if e.SHA256 != own.SHA256 {
		t.Errorf("others render %s, with the submitter it was %s", e.SHA256, own.SHA256)
	}
	if e.by("pc2") == 0 || e.by("pc3") == 0 {
		t.Errorf("pc2 and pc3 should have rendered: %+v", e.Nodes)
	}
	if !p.noted("the scene draws numbers that no seed fixes (random.Random() in unlike.py") {
		t.Errorf("no note of it in %q", p.lines)
	}
}

// A scene that plays differently each time, or on every other computer, is
// rendered by the submitter alone, whatever --slots says, and the user is told
// what differs.
func TestUnsteadyScenes(t *testing.T) {
	for scene, note := range map[string]string{
		"Unsteady": "the scene plays differently each time: play 0 (FadeIn(Group)) differs from the plan after 5 frames: other colours or strokes of 120 Dot: this node renders it alone",
		"AtHome":   "the scene plays differently on every other node: play 0 (FadeIn(Circle)) differs from the plan after 5 frames: 1 Circle here, 0 in the plan; 0 Square here, 1 in the plan: this node renders it alone",
	} {
		t.Run(scene, func(t *testing.T) {
			m := houseOf(t)
			args := []string{"-ql", "-t", "--format", "mov", "--seed", "7", "--progress_bar", "none", "unlike.py", scene}
			p := m.computers[0].publish(append([]string{"--cell-frames", "5", "--slots", "0"}, args...)...)
			e := p.finished()
			if len(e.Nodes) != 1 || e.by("pc1") == 0 {
				t.Errorf("pc1 alone should have rendered: %+v", e.Nodes)
			}
			if !p.noted(note) {
				t.Errorf("no such note in %q", p.lines)
			}
			if scene == "AtHome" {
				media, a := stock(t, args...)
				if a.code != 0 {
					t.Fatalf("stock Manim: exit code %d\n%s%s", a.code, a.out, a.err)
				}
				compare(t, artefactsIn(t, media), artefactsIn(t, p.media), true)
			}
		})
	}
}

// noted reports whether the user was told something that begins so.
func (p *publication) noted(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.events, func(e event) bool { return e.Event == "note" && strings.HasPrefix(e.Text, text) })
}
