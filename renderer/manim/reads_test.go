// SPDX-License-Identifier: MIT

package manim

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"meshnode/renderer"
)

const reading = `
import helper
from manim import *

class Reading(Scene):
    def construct(self):
        data = open("data.txt").read()
        open("log.txt", "a").write("once more")
        open(".hidden").read()
        self.add_sound("ping.wav")
        self.play(Create(Square()), run_time=0.2)
`

// A plan tells of what it reads, also of what others need not have; one that fails of
// what it has come to. What it writes is not among it.
func TestReads(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	defer r.Close()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plan := func() (reads []string, plan *renderer.Plan, err error) {
		t.Helper()
		e, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		plan, err = e.Plan(t.Context(), renderer.Request{
			Args: []string{"reading.py", "Reading", "-ql", "--media_dir", at("media")}, Dir: dir, Env: os.Environ(),
			Read: func(paths []string) { reads = append(reads, paths...) },
		}, nil)
		return reads, plan, err
	}
	want := func(reads []string, names ...string) {
		t.Helper()
		var paths []string
		for _, name := range names {
			paths = append(paths, at(name))
		}
		if !slices.Equal(reads, paths) {
			t.Errorf("read %q, want %q", reads, paths)
		}
	}
	write("reading.py", reading)
	write("helper.py", "")
	write("data.txt", "")
	write(".hidden", "")
	write("log.txt", "")
	write("ping.wav", wave(800))
	reads, first, err := plan()
	if err != nil {
		t.Fatal(err)
	}
	want(reads, ".hidden", "data.txt", "helper.py", "ping.wav", "reading.py")
	if first.Seed == nil {
		t.Error("the seed that was chosen is not told")
	}

	write("helper.py", "import manim\nraise ValueError('a mistake')")
	reads, _, err = plan()
	if scene := (*renderer.SceneError)(nil); !errors.As(err, &scene) {
		t.Errorf("error %v", err)
	}
	want(reads, "helper.py", "reading.py")
}

// wave returns a sound of so many silent samples.
func wave(samples uint32) string {
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, 36+2*samples)
	b = append(b, "WAVEfmt "...)
	for _, v := range []uint32{16, 1 | 1<<16, 8000, 16000, 2 | 16<<16} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, 2*samples)
	return string(append(b, make([]byte, 2*samples)...))
}
