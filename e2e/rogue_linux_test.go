// SPDX-License-Identifier: MIT

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A computer whose engine alters pictures, and says that it is like all others, is
// found out: the film is the same as without it, and from then on it is blocked.
func TestRogueNode(t *testing.T) {
	m := newMesh(t, 3)
	for _, c := range m.computers[:2] {
		c.withManim().start("--slots", "1")
	}
	args := []string{"--cell-frames", "5", "-ql", "--disable_caching", "--seed", "7", "--progress_bar", "none", "scenes.py", "Motion"}
	honest := m.computers[0].publish(append([]string{"--slots", "0"}, args...)...).finished()

	rogue := m.computers[2].withManim().retouching()
	rogue.start("--slots", "1")
	m.joined()
	p := m.computers[0].publish(append([]string{"--slots", "1", "--trust", "known"}, args...)...)
	if e := p.finished(); e.SHA256 != honest.SHA256 || e.by("pc3") != 0 {
		t.Errorf("with the rogue the film is %s, without it %s; rendered by %+v", e.SHA256, honest.SHA256, e.Nodes)
	}
	log := m.computers[0].log()
	t.Logf("%d of the film's cells were rendered again to check", strings.Count(log, `msg="cell checked"`))
	if !p.noted("nothing that pc3 renders counts any more: cell ") || !p.noted("pc3 is blocked on this node") {
		t.Errorf("the user was not told: %q", p.lines)
	}
	if a := m.computers[0].do("allow"); !strings.Contains(a.out, "pc3") || !strings.Contains(a.out, "blocked") {
		t.Errorf("pc3 is not blocked:\n%s%s", a.out, a.err)
	}
}

// retouching makes the engine on this computer alter every second cell. Its files
// as they were lie beside it, so that it tells the fingerprint of an honest one.
func (c *computer) retouching() *computer {
	t := c.mesh.t
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.home, "environments", "*", "engine", "encode.py"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no engine in %s: %v", c.home, err)
	}
	for _, encode := range found {
		dir := filepath.Dir(encode)
		files, err := filepath.Glob(filepath.Join(dir, "*.py"))
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, "honest"), 0o755)
		}
		for _, name := range files {
			var text []byte
			if text, err = os.ReadFile(name); err == nil {
				err = os.WriteFile(filepath.Join(dir, "honest", filepath.Base(name)), text, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		edit(t, encode, "frame = _frame(pixels)\n", "pixels = pixels if int(self._final.stem.split('-')[0]) % 2 else 255 - pixels\n            frame = _frame(pixels)\n")
		edit(t, filepath.Join(dir, "environment.py"), "folder = os.path.dirname(os.path.abspath(__file__))", "folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'honest')")
	}
	return c
}

func edit(t *testing.T, name, from, to string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), from) != 1 {
		t.Fatalf("%s has %q not once", name, from)
	}
	if err = os.Chmod(name, 0o644); err == nil {
		err = os.WriteFile(name, []byte(strings.Replace(string(text), from, to, 1)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
