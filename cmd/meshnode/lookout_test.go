// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A lookout tells of files however they were saved, and of nothing else.
func TestLookout(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"scene.py", "helper.py", "other.py"} {
		write(name, "old")
		if err := os.Chtimes(at(name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	l := newLookout(at("scene.py"), at("manim.cfg"))
	l.add([]string{at("helper.py")})
	want := func(what string, names ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var paths []string
		for _, name := range names {
			paths = append(paths, at(name))
		}
		if got := l.wait(ctx); !slices.Equal(got, paths) {
			t.Errorf("%s: %q", what, got)
		}
		l.begin()
	}
	quiet := func(what string) {
		t.Helper()
		if got := l.changed(); len(got) > 0 {
			t.Errorf("%s: %q", what, got)
		}
	}
	quiet("at first")
	write("other.py", "new")
	write("new.py", "new")
	quiet("files that do not matter")

	write("scene.py", "new text")
	want("written in place", "scene.py")
	write("scene.py.new", "newer text")
	if err := os.Rename(at("scene.py.new"), at("scene.py")); err != nil {
		t.Fatal(err)
	}
	want("replaced", "scene.py")
	if err := os.Remove(at("helper.py")); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(3*lookEvery, func() { _ = os.WriteFile(at("helper.py"), []byte("back"), 0o600) })
	want("removed, and written anew", "helper.py")
	if info, err := os.Stat(at("helper.py")); err != nil || info.Size() != 4 {
		t.Error("told before it was written")
	}
	write("manim.cfg", "[CLI]")
	want("made", "manim.cfg")

	if err := os.Remove(at("helper.py")); err != nil {
		t.Fatal(err)
	}
	want("removed", "helper.py")

	quiet("between")
	l.expect()
	write(".scene.py.swp", "")
	quiet("what an editor leaves")
	write("missing.py", "")
	want("beside a scene that has failed", "missing.py")

	write("late.py", "x")
	later := time.Now().Add(time.Second) // clocks of file systems are coarse
	if err := os.Chtimes(at("late.py"), later, later); err != nil {
		t.Fatal(err)
	}
	l.add([]string{at("late.py")})
	want("changed before it was known", "late.py")
	quiet("at the end")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := l.wait(ctx); got != nil {
		t.Errorf("when it was ended: %q", got)
	}
}
