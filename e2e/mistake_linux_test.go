// SPDX-License-Identifier: MIT

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// The user's own errors come before anything is sent: as Manim prints them, and
// once.
func TestSceneErrors(t *testing.T) {
	for _, c := range []struct{ scene, text string }{
		{"Broken", "ArithmeticError: the scene's own mistake"},
		{"Missing", "could not find assets/nowhere.png"},
	} {
		t.Run(c.scene, func(t *testing.T) {
			m := houseOf(t)
			args := []string{"-ql", "--progress_bar", "none", "scenes.py", c.scene}
			_, want := stock(t, args...)
			a := m.computers[0].do("publish", append([]string{"--media_dir", folder(t)}, args...)...)
			if a.code != 1 || want.code != 1 {
				t.Errorf("exit code %d, of stock Manim: %d", a.code, want.code)
			}
			for _, text := range []string{c.text, "Traceback (most recent call last)"} {
				if got, want := count(a.out+a.err, text), count(want.out+want.err, text); got != want || got == 0 {
					t.Errorf("%q is printed %d times, by stock Manim %d times:\n%s%s", text, got, want, a.out, a.err)
				}
			}
			if open := m.computers[1].openJobs(); len(open) != 0 {
				t.Errorf("the other node knows a job: %+v", open)
			}
			if strings.Contains(m.computers[1].log(), c.scene) {
				t.Error("the other node has heard of the scene")
			}
		})
	}
}

// count counts text in what was printed, which may be wrapped.
func count(printed, text string) int {
	joined := strings.Join(strings.Fields(printed), " ")
	return strings.Count(joined, text)
}

// Mistakes in the command line cost one line, exit code 2 and no node.
func TestUsageErrors(t *testing.T) {
	m := newMesh(t, 1)
	c := m.computers[0]
	for name, args := range map[string][]string{
		"unknown option":   {"--cels", "5", "scenes.py", "Motion"},
		"bad quality":      {"-qx", "scenes.py", "Motion"},
		"bad resolution":   {"-r", "wide", "scenes.py", "Motion"},
		"bad rate":         {"--fps", "0", "scenes.py", "Motion"},
		"refused option":   {"--renderer", "opengl", "scenes.py", "Motion"},
		"bad cell length":  {"--cell-frames", "0", "scenes.py", "Motion"},
		"no such script":   {"nowhere.py", "Motion"},
		"nothing to do":    {},
		"value is missing": {"scenes.py", "--seed"},
	} {
		a := c.do("publish", args...)
		if a.code != 2 || a.out != "" || strings.Count(a.err, "\n") != 1 || !strings.HasPrefix(a.err, "meshnode: ") {
			t.Errorf("%s: exit code %d, printed %q and %q", name, a.code, a.out, a.err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(c.home, "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q %v", left, err)
	}
}

// A scene that is not in the file is an error, and a running node survives it.
func TestNoSuchScene(t *testing.T) {
	m := newMesh(t, 1)
	c := m.computers[0].withManim().start()
	args := []string{"-ql", "scenes.py", "Nowhere"}
	a := c.do("publish", append([]string{"--media_dir", folder(t)}, args...)...)
	if a.code == 0 || !strings.Contains(a.out+a.err, "Nowhere") {
		t.Errorf("exit code %d:\n%s%s", a.code, a.out, a.err)
	}
	if open := c.openJobs(); len(open) != 0 {
		t.Errorf("a job is left: %+v", open)
	}
}
