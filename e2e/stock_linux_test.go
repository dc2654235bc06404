// SPDX-License-Identifier: MIT

package e2e

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// artefacts are what a render left behind, by name under the media folder:
// stream, frames with their times, pixels. See testdata/artefacts.py.
type artefacts map[string][]string

// artefactsIn reads a media folder.
func artefactsIn(t *testing.T, media string) artefacts {
	t.Helper()
	cmd := exec.Command(python(), filepath.Join(project(), "artefacts.py"), media)
	cmd.Env = environment()
	a := finish(t, cmd)
	var found artefacts
	if err := json.Unmarshal([]byte(a.out), &found); a.code != 0 || err != nil {
		t.Fatalf("artefacts.py: %v\n%s", err, a.err)
	}
	return found
}

// stock renders with `manim render` and returns the media folder and what it
// printed.
func stock(t *testing.T, args ...string) (media string, a answer) {
	t.Helper()
	return stockTyped(t, "", args...)
}

// stockTyped is stock with something on standard input.
func stockTyped(t *testing.T, typed string, args ...string) (media string, a answer) {
	t.Helper()
	return stockWith(t, nil, typed, args...)
}

// stockWith is stockTyped with more in its environment.
func stockWith(t *testing.T, env []string, typed string, args ...string) (media string, a answer) {
	t.Helper()
	media = folder(t)
	cmd := exec.Command(python(), append([]string{"-m", "manim", "render", "--media_dir", media}, args...)...)
	cmd.Dir, cmd.Env = project(), append(slices.Clone(environment()), env...)
	cmd.Stdin = strings.NewReader(typed)
	return media, finish(t, cmd)
}

// compare fails the test where a render differs from stock Manim's: in the names
// of its files, in times, and in pixels where the encoder loses none.
func compare(t *testing.T, want, got artefacts, lossless bool) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("stock Manim left nothing")
	}
	if w, g := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); !slices.Equal(w, g) {
		t.Errorf("files: %q, of stock Manim: %q", g, w)
	}
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			continue
		}
		if len(w) != len(g) {
			t.Errorf("%s: %d frames, of stock Manim: %d", name, len(g)-1, len(w)-1)
			continue
		}
		differ := 0
		for i := range w {
			if same := w[i] == g[i] || !lossless && i > 0 && timeOf(w[i]) == timeOf(g[i]); same {
				continue
			}
			if differ++; differ == 1 {
				t.Errorf("%s: line %d is %q, of stock Manim: %q", name, i, g[i], w[i])
			}
		}
		if differ > 1 {
			t.Errorf("%s: %d of %d frames differ", name, differ, len(w)-1)
		}
	}
}

// timeOf returns the first word of a frame's line.
func timeOf(line string) string {
	for i, r := range line {
		if r == ' ' {
			return line[:i]
		}
	}
	return line
}
