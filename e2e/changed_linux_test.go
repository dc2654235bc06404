// SPDX-License-Identifier: MIT

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// After an edit only what it changes is rendered; what one computer has lost, another
// still has; what was interrupted goes on.
func TestOnlyWhatChanged(t *testing.T) {
	m := newMesh(t, 2)
	submitter, worker := m.computers[0].withManim().start("--slots", "0"), m.computers[1].withManim().start("--slots", "1")
	m.joined()
	dir := folder(t)
	script := filepath.Join(dir, "changed.py")
	write := func(edit string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(project(), "changed.py"))
		if err == nil {
			err = os.WriteFile(script, []byte(strings.ReplaceAll(string(text), "Triangle()", edit)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-ql", "--seed", "7", "--progress_bar", "none", "--cell-frames", "5", script, "Changed"}
	drawn := func() int { return strings.Count(worker.log(), `msg="cell rendered"`) }
	publish := func() (planned, finished event, rendered int) {
		t.Helper()
		worker.markLog()
		p := submitter.publish(args...)
		finished = p.finished()
		return p.planned(), finished, drawn()
	}

	write("Triangle()")
	first, film, n := publish()
	if first.Kept != 0 || n != first.Cells || n < 6 {
		t.Errorf("of %d cells %d are kept, %d rendered", first.Cells, first.Kept, n)
	}
	if again, same, n := publish(); again.Kept != again.Cells || n != 0 || same.SHA256 != film.SHA256 {
		t.Errorf("without an edit %d of %d cells are kept, %d rendered: %s, was %s", again.Kept, again.Cells, n, same.SHA256, film.SHA256)
	}
	write("Star()")
	if edited, _, n := publish(); edited.Kept != edited.Cells-2 || n != 2 {
		t.Errorf("after an edit of two cells %d of %d are kept, %d rendered", edited.Kept, edited.Cells, n)
	}

	// The submitter loses all but its name.
	submitter.stop(syscall.SIGTERM)
	for _, name := range []string{"blocks", "state.db"} {
		if err := os.RemoveAll(filepath.Join(submitter.home, name)); err != nil {
			t.Fatal(err)
		}
	}
	submitter.start("--slots", "0")
	m.joined()
	write("Triangle()")
	if lost, same, n := publish(); lost.Kept != 0 || n != 0 || same.SHA256 != film.SHA256 {
		t.Errorf("after a loss %d cells are kept, %d rendered: %s, was %s", lost.Kept, n, same.SHA256, film.SHA256)
	}

	args = append([]string{"--fps", "30"}, args...)
	worker.markLog()
	p := submitter.publish(args...)
	p.collected(0.3)
	p.interrupt()
	p.code()
	had := drawn()
	rest, _, n := publish()
	if n > rest.Cells-had || had == 0 {
		t.Errorf("of %d cells %d were rendered before an interruption, and %d after it", rest.Cells, had, n)
	}
}
