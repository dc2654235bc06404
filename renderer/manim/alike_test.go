// SPDX-License-Identifier: MIT

package manim

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
)

const twins = `
from manim import *

class Plain(Scene):
    def construct(self):
        self.play(Create(Square(color=BLUE)), Write(Text("mesh").shift(2 * UP)), run_time=1)

class Altered(Scene):
    def construct(self):
        self.add(Dot(radius=0.06).shift(3 * RIGHT))
        self.play(Create(Square(color=BLUE)), Write(Text("mesh").shift(2 * UP)), run_time=1)

class Longer(Scene):
    def construct(self):
        self.play(Create(Square(color=BLUE)), Write(Text("mesh").shift(2 * UP)), run_time=1.2)
`

// TestAlike tells renderings that show the same from others, in the sandbox: another
// encoder is no difference, a small dot is one, and so is a file that cannot be read. What is no
// cell at all is seen by looking at it.
func TestAlike(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	t.Cleanup(func() { r.Close() })
	if _, err := r.Sandbox(t.Context()); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "twins.py"), []byte(twins), 0o600); err != nil {
		t.Fatal(err)
	}
	render := func(scene string, args ...string) (cell []byte, plan *renderer.Plan, err error) {
		own, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		plan, err = own.Plan(t.Context(), renderer.Request{
			Args: append([]string{"twins.py", scene, "-ql", "--seed", "1", "--media_dir", filepath.Join(dir, "media")}, args...),
			Dir:  dir, Env: os.Environ(), CellFrames: 1000,
		}, nil)
		if err != nil {
			return nil, nil, err
		}
		cell, err = cellBytes(t, own, 0)
		return cell, plan, err
	}
	plain, plan, err := render("Plain")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := r.Take(t.Context(), renderer.Foreign, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { foreign.Close() })
	if err := foreign.Load(t.Context(), &job.Manifest{Spec: plan.Spec, Plays: plan.Plays, FPS: plan.FPS}, nil); err != nil {
		t.Fatal(err)
	}
	put := func(folder string, data []byte) []string {
		name := path.Join(folder, "cell.mp4")
		err := foreign.In().MkdirAll(folder, 0o700)
		if err == nil {
			err = foreign.In().WriteFile(name, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return []string{name}
	}
	own := put("own", plain)
	compare := func(name string, data []byte, want error) {
		t.Helper()
		if err := foreign.Alike(t.Context(), own, put(name, data)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	look := func(name string, want error, files ...string) {
		t.Helper()
		if err := foreign.Look(t.Context(), 0, files); !errors.Is(err, want) {
			t.Errorf("look at %s: %v, want %v", name, err, want)
		} else {
			t.Logf("look at %s: %v", name, err)
		}
	}
	look("one's own", nil, own...)
	look("two files", renderer.ErrNoCell, own[0], own[0])
	look("half", renderer.ErrNoCell, put("half", plain[:len(plain)/2])...)
	look("noise", renderer.ErrNoCell, put("noise", []byte("no film"))...)
	compare("same", plain, nil)
	for _, name := range []string{"Altered", "Longer"} {
		data, _, err := render(name)
		if err != nil {
			t.Fatal(err)
		}
		compare(name, data, renderer.ErrUnlike)
		if name == "Longer" {
			look(name, renderer.ErrNoCell, put("looked", data)...)
		}
	}
	if data, _, err := render("Plain", "--encoder-option", "crf=28"); err == nil { // Manim before 0.22 has no such option
		compare("coarser", data, nil)
	}
	compare("truncated", plain[:len(plain)/2], renderer.ErrUnlike)
	compare("junk", []byte("no film"), renderer.ErrUnlike)
	if err := foreign.Alike(t.Context(), put("broken", []byte("no film")), own); err == nil || errors.Is(err, renderer.ErrUnlike) {
		t.Errorf("with an own file that cannot be read: %v", err)
	}
	compare("after that", plain, nil)
	gone := foreign.(*engine).current()
	gone.proc.Kill()
	<-gone.done
	look("one's own with an engine that is gone", renderer.ErrEnded, own...)
}

// TestLookPins: what is not to the letter what one's own encoder writes is no cell, even
// if the right pictures come out of it; and a play has nothing of a cell but its packets.
func TestLookPins(t *testing.T) {
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		t.Skip("MESHNODE_PYTHON names no Python with Manim")
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/strangers.py", t.TempDir())
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
