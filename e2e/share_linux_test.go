// SPDX-License-Identifier: MIT

package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A node that comes when the job is half done takes its part.
func TestLateNode(t *testing.T) {
	slowFilmOf(t)
	m := newMesh(t, 3)
	first, early, late := m.computers[0].withManim(), m.computers[1].withManim(), m.computers[2].withManim()
	first.start("--slots", "0")
	early.start("--slots", "1")
	m.joined()
	p := first.publish(slowArgs...)
	p.collected(0.01)
	early.do("pause") // there is work left, however long the late node takes to start
	late.start("--slots", "1")
	e := p.finished()
	if all := p.planned().Frames; e.by(early.name()) == 0 || e.by(late.name()) == 0 || e.by(early.name())+e.by(late.name()) != all {
		t.Errorf("both should have rendered some of the %d frames: %+v", all, e.Nodes)
	}
	sameFilm(t, e)
}

// Two computers publish at once; the third renders for both.
func TestTwoSubmitters(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	a := m.computers[0].publish(slowArgs...)
	b := m.computers[1].publish(slowArgs...)
	for _, e := range []event{a.finished(), b.finished()} {
		if e.by("pc3") == 0 {
			t.Errorf("the third node rendered no frame: %+v", e.Nodes)
		}
		sameFilm(t, e)
	}
}

// With --slots 0 only the others render.
func TestNoSlotsOfItsOwn(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	p := m.computers[0].publish(append([]string{"--slots", "0"}, slowArgs...)...)
	e := p.finished()
	if all := p.planned().Frames; e.by("pc1") != 0 || e.by("pc2")+e.by("pc3") != all {
		t.Errorf("pc2 and pc3 should have rendered all %d frames: %+v", all, e.Nodes)
	}
	sameFilm(t, e)
}

// A computer without Manim is a full peer that does not render: it says what it
// lacks, and the others go on.
func TestNodeWithoutManim(t *testing.T) {
	m := houseOf(t)
	lacking := m.computers[3].start()
	defer lacking.stop(syscall.SIGTERM)
	eventually(t, readyTime, "the others know it", func() bool {
		return slices.ContainsFunc(m.computers[0].peers(), func(p peer) bool { return p.Name == lacking.name() && p.Lacks != "" })
	})
	for _, p := range m.computers[0].peers() {
		if p.Name == lacking.name() && len(p.Renderers) != 0 {
			t.Errorf("a node without Manim has renderers: %+v", p)
		}
	}
	if notes := strings.Join(lacking.status().Notes, "\n"); !strings.Contains(notes, "meshnode setup") {
		t.Errorf("status does not say what the node lacks: %q", notes)
	}
	if a := lacking.do("doctor"); a.code != 1 || !strings.Contains(a.out, "meshnode setup") {
		t.Errorf("doctor: exit code %d:\n%s%s", a.code, a.out, a.err)
	}

	e := m.computers[0].publish("-ql", "--seed", "7", "--cell-frames", "5", "--disable_caching", "scenes.py", "Turning").finished()
	if e.by(lacking.name()) != 0 || len(e.Nodes) < 2 {
		t.Errorf("all but %s should have rendered: %+v", lacking.name(), e.Nodes)
	}

	p := lacking.publish("-ql", "scenes.py", "Turning")
	if code := p.code(); code != 1 || !strings.Contains(p.err.String(), "meshnode setup") {
		t.Errorf("publish without Manim: exit code %d: %s", code, &p.err)
	}
}
