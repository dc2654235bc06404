// SPDX-License-Identifier: MIT

package e2e

import (
	"strings"
	"testing"
)

// A file that is only opened when something is drawn is fetched from the
// submitter's project, who is told once.
func TestLateFiles(t *testing.T) {
	m := houseOf(t)
	args := []string{"-ql", "-t", "--format", "mov", "--seed", "7", "--progress_bar", "none", "late.py", "Late"}
	media, a := stock(t, args...)
	if a.code != 0 {
		t.Fatalf("stock Manim: exit code %d\n%s%s", a.code, a.out, a.err)
	}
	p := m.computers[0].publish(append([]string{"--cell-frames", "5", "--slots", "0"}, args...)...)
	e := p.finished()
	compare(t, artefactsIn(t, media), artefactsIn(t, p.media), true)
	if e.by("pc2") == 0 || e.by("pc3") == 0 {
		t.Errorf("pc2 and pc3 should have rendered: %+v", e.Nodes)
	}
	notes := 0
	for _, e := range p.events {
		if e.Event == "note" && strings.Contains(e.Text, "opened assets/width.txt, which the plan did not read") {
			notes++
		}
	}
	if notes != 1 {
		t.Errorf("%d notes that the file is shared", notes)
	}
	if log := m.computers[0].log(); !strings.Contains(log, "path=assets/width.txt to=pc2") || !strings.Contains(log, "path=assets/width.txt to=pc3") {
		t.Error("the log does not say to whom the file was lent")
	}
}

// A hidden file is not lent: the cells that need it are rendered by the
// submitter.
func TestHiddenFile(t *testing.T) {
	m := houseOf(t)
	e := m.computers[0].publish("--cell-frames", "5", "-ql", "--seed", "7", "--progress_bar", "none", "late.py", "Hidden").finished()
	if e.by("pc1") != 30 {
		t.Errorf("pc1 should have rendered all 30 frames: %+v", e.Nodes)
	}
}
