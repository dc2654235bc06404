// SPDX-License-Identifier: MIT

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What computers that found each other by mDNS alone render is what stock Manim
// renders on one: names, frames, times.
func TestSameFramesAsManim(t *testing.T) {
	lossless := []string{"-ql", "-t", "--format", "mov"}
	for _, c := range []struct {
		scene    string
		args     []string
		lossless bool
		own      bool // the submitter renders too, and these scenes are short enough for it alone
		needs    string
	}{
		{scene: "Motion", args: lossless, lossless: true},
		{scene: "Turning", args: lossless, lossless: true, own: true},
		{scene: "Following", args: append(slices.Clone(lossless), "--disable_caching"), lossless: true},
		{scene: "Formula", args: lossless, lossless: true, needs: "latex"},
		{scene: "Motion", args: []string{"-ql", "--format", "png-sequence"}, lossless: true},
		{scene: "Motion", args: []string{"-r", "320,180", "--fps", "20", "-o", "other name"}, own: true},
		{scene: "Still", args: []string{"-ql"}, lossless: true, own: true},
	} {
		t.Run(strings.Join(append([]string{c.scene}, c.args...), " "), func(t *testing.T) {
			if c.needs != "" {
				if _, err := exec.LookPath(c.needs); err != nil {
					t.Skip(err)
				}
			}
			m := houseOf(t)
			args := append([]string{"--seed", "7", "--progress_bar", "none", "scenes.py", c.scene}, c.args...)
			media, a := stock(t, args...)
			if a.code != 0 {
				t.Fatalf("stock Manim: exit code %d\n%s%s", a.code, a.out, a.err)
			}
			mine := []string{"--cell-frames", "5"}
			if !c.own {
				mine = append(mine, "--slots", "0")
			}
			p := m.computers[0].publish(append(mine, args...)...)
			e := p.finished()
			compare(t, artefactsIn(t, media), artefactsIn(t, p.media), c.lossless)
			for _, other := range m.computers[1:3] {
				if !c.own && e.by(other.name()) == 0 {
					t.Errorf("%s rendered no frame: %+v", other.name(), e.Nodes)
				}
			}
		})
	}
}

// With cells as long as plays the film is, byte for byte, what stock Manim
// writes with one encoder thread.
func TestSameBytesAsManim(t *testing.T) {
	m := newMesh(t, 1)
	c := m.computers[0].withManim()
	args := []string{"--seed", "7", "--progress_bar", "none", "-ql", "scenes.py", "Motion"}
	media, a := stock(t, append([]string{"--encoder-option", "threads=1"}, args...)...)
	if a.code != 0 {
		t.Skipf("this Manim has no --encoder-option: %s", a.err)
	}
	film, err := os.ReadFile(filepath.Join(media, "videos", "scenes", "480p15", "Motion.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	e := c.publish(append([]string{"--cell-frames", "100000"}, args...)...).finished()
	if sum := sha256.Sum256(film); e.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the film of %s differs from stock Manim's", e.File)
	}
}

// slowArgs make a film that takes about ten seconds on one core: 36 cells, which are
// rendered each time.
var slowArgs = []string{"-ql", "--seed", "7", "--progress_bar", "none", "--cell-frames", "5", "--disable_caching", "slow.py", "Slow"}

// slowFilm is the SHA-256 of that film: of the first one that is made, by one
// node alone.
var slowFilm string

// sameFilm checks the film of slowArgs.
func sameFilm(t *testing.T, e event) {
	t.Helper()
	want := slowFilmOf(t)
	data, err := os.ReadFile(e.File)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != e.SHA256 {
		t.Errorf("%s is not what publish says of it", e.File)
	}
	if e.SHA256 != want {
		t.Errorf("the film has SHA-256 %s, rendered by one node alone: %s", e.SHA256, want)
	}
}

func slowFilmOf(t *testing.T) string {
	t.Helper()
	if slowFilm == "" {
		m := newMesh(t, 1)
		slowFilm = m.computers[0].withManim().publish(slowArgs...).finished().SHA256
	}
	return slowFilm
}

// One node, three, or three of which one dies: the same film.
func TestSameFilm(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	e := m.computers[0].publish(slowArgs...).finished()
	sameFilm(t, e)
	for _, c := range m.computers[:3] {
		if e.by(c.name()) == 0 {
			t.Errorf("%s rendered no frame: %+v", c.name(), e.Nodes)
		}
	}
}
