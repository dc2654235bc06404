// SPDX-License-Identifier: MIT

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// verification is what verify --json prints.
type verification struct {
	Checked, Cells, Same, Alike int
	Known, Altered, OK          bool
	Differ                      []struct{ From, To float64 }
}

// A film is what its scene draws, until somebody changes a packet, encodes or paints a
// second of it, or cuts one out. One of stock Manim's, which encodes otherwise, is what
// the scene draws, too.
func TestVerifyFilms(t *testing.T) {
	m := newMesh(t, 1)
	c := m.computers[0].withManim().start()
	project := folder(t)
	for name, text := range map[string]string{"edited.py": editedScene, "look.py": "COLOR = 'RED'\n"} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	scene := []string{"edited.py", "Edited", "-ql", "--seed", "7"}
	verify := func(code int, args ...string) (v verification) {
		t.Helper()
		cmd := c.command("verify", append(args, "--json")...)
		cmd.Dir = project
		a := finish(t, cmd)
		if err := json.Unmarshal([]byte(a.out), &v); err != nil || a.code != code {
			t.Errorf("verify %q: exit code %d, want %d: %s%s", args, a.code, code, a.out, a.err)
		}
		return v
	}
	cmd := c.command("publish", append(scene, "--media_dir", filepath.Join(project, "media"))...)
	cmd.Dir = project
	if a := finish(t, cmd); a.code != 0 {
		t.Fatalf("publish: %s", a.err)
	}
	film := filepath.Join(project, "media/videos/edited/480p15/Edited.mp4")
	if v := verify(0, film); !v.OK || !v.Known || v.Altered || v.Same != 3 || v.Cells != 3 {
		t.Errorf("as it was written: %+v", v)
	}
	whole, err := os.ReadFile(film)
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"packet", "encode", "paint", "cut"} {
		if err := os.WriteFile(film, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		changed := filepath.Join(project, "changed.mp4")
		if out, err := exec.Command(python(), filepath.Join("testdata", "tamper.py"), how, film, changed).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", how, err, out)
		}
		if err := os.Rename(changed, film); err != nil {
			t.Fatal(err)
		}
		v := verify(1, film, "--all")
		if v.OK || !v.Altered || len(v.Differ) == 0 {
			t.Errorf("%s: %+v", how, v)
			continue
		}
		if first := v.Differ[0]; first.From < 1 || first.From >= 2 || how != "cut" && (len(v.Differ) != 1 || first.To > 2) {
			t.Errorf("%s: not the second that was changed: %+v", how, v.Differ)
		}
		// Nothing is known of a copy, so the bytes of another encoder are allowed.
		if how == "paint" || how == "cut" {
			verify(1, append([]string{film, "--all"}, scene...)...)
		}
	}
	stock := exec.Command(python(), append([]string{"-m", "manim", "render", "--media_dir", filepath.Join(project, "stock")}, scene...)...)
	stock.Dir = project
	if out, err := stock.CombinedOutput(); err != nil {
		t.Fatalf("manim: %v\n%s", err, out)
	}
	v := verify(0, append([]string{filepath.Join(project, "stock/videos/edited/480p15/Edited.mp4"), "--all"}, scene...)...)
	if !v.OK || v.Known || v.Same+v.Alike != 3 {
		t.Errorf("stock's film: %+v", v)
	}
	if err := os.WriteFile(filepath.Join(project, "look.py"), []byte("COLOR = 'BLUE'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(film, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if v := verify(1, film); v.Altered || len(v.Differ) != 1 || v.Differ[0].From < 2 {
		t.Errorf("of a scene that was edited: %+v", v)
	}
}
