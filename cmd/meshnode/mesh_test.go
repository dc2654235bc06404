// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// output runs a command and returns what it prints to standard output.
func output(t *testing.T, home string, args ...string) string {
	t.Helper()
	c := newCommand(t, home, args...)
	c.finish(t, 0)
	return c.stdout.String()
}

func TestMesh(t *testing.T) {
	first, second, third := t.TempDir(), t.TempDir(), t.TempDir()
	if got := output(t, first, "mesh"); got != "home (open)\n" {
		t.Errorf("at first: %q", got)
	}
	typed := output(t, first, "mesh", "new", "studio")
	code, ok := strings.CutPrefix(typed, "meshnode mesh join studio-")
	code = "studio-" + strings.TrimSpace(code)
	if !ok || output(t, first, "mesh", "code") != code+"\n" {
		t.Fatalf("mesh new prints %q", typed)
	}
	info, err := os.Stat(filepath.Join(first, "mesh"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the code's file: %v, %v", info, err)
	}
	output(t, second, "mesh", "join", "studio-"+strings.ToUpper(code[7:]))
	output(t, third, "mesh", "join", "--secret-file", filepath.Join(first, "mesh"))
	mesh := output(t, first, "mesh")
	if !strings.HasPrefix(mesh, "studio (private, ") || output(t, second, "mesh") != mesh || output(t, third, "mesh") != mesh {
		t.Errorf("the mesh is %q here, %q and %q there", mesh, output(t, second, "mesh"), output(t, third, "mesh"))
	}
	output(t, third, "mesh", "--home", second, "join", code) // once more is no mistake
	output(t, second, "mesh", "leave")
	if got := output(t, second, "mesh", "--json"); got != `{"mark":"","mesh":"home"}`+"\n" {
		t.Errorf("after it was left: %q", got)
	}
}

func TestMeshRefuses(t *testing.T) {
	inside, outside := t.TempDir(), t.TempDir()
	code := strings.TrimSpace(strings.TrimPrefix(output(t, inside, "mesh", "new"), "meshnode mesh join "))
	slip := strings.Replace(code, "-", "-a", 1)
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		home string
		args []string
		code int
		want string
	}{
		{outside, []string{"mesh", "join"}, 2, "meshnode mesh join CODE"},
		{outside, []string{"mesh", "join", slip}, 2, "is not whole, or has a slip"},
		{outside, []string{"mesh", "join", "studio"}, 2, "is not whole, or has a slip"},
		{outside, []string{"mesh", "join", "--secret-file", open}, 2, "can be used by others (mode 0644): run chmod 600"},
		{outside, []string{"mesh", "new", "a b"}, 2, "must be 1 to 64 letters"},
		{outside, []string{"mesh", "nwe"}, 2, `unexpected argument "nwe"`},
		{outside, []string{"mesh", "code"}, 1, `"meshnode mesh new" makes a private one`},
		{outside, []string{"mesh", "leave"}, 1, "in no private mesh"},
		{outside, []string{"run", "--secret-file", "none"}, 2, "no such file"},
		{inside, []string{"mesh", "new"}, 1, `run "meshnode mesh leave" first`},
		{inside, []string{"run", "--mesh", "other"}, 2, `run "meshnode mesh leave" first`},
	} {
		c := newCommand(t, test.home, test.args...)
		c.finish(t, test.code)
		if out := c.stderr.String(); !strings.Contains(out, test.want) || strings.Count(out, "\n") != 1 || c.stdout.Len() > 0 {
			t.Errorf("%q prints %q and %q, want %q", test.args, &c.stdout, out, test.want)
		}
		if strings.Contains(c.stderr.String(), code[6:]) {
			t.Errorf("%q prints the code: %q", test.args, &c.stderr)
		}
	}
}

// A home whose code cannot be read just now stays in its mesh: the code may be nowhere else.
func TestMeshKeepsWhatItCannotRead(t *testing.T) {
	other := t.TempDir()
	output(t, other, "mesh", "new", "other")
	code := strings.TrimSpace(output(t, other, "mesh", "code"))
	home := t.TempDir()
	file := filepath.Join(home, "mesh")
	if err := os.WriteFile(file, []byte("studio-a slip\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"mesh", "new"}, {"mesh", "join", code}} {
		c := newCommand(t, home, args...)
		c.finish(t, 1)
		if out := c.stderr.String(); !strings.Contains(out, `run "meshnode mesh leave" first`) || c.stdout.Len() > 0 {
			t.Errorf("%q prints %q and %q", args, &c.stdout, out)
		}
		if kept, err := os.ReadFile(file); err != nil || string(kept) != "studio-a slip\n" {
			t.Errorf("%q leaves %q (%v)", args, kept, err)
		}
	}
	output(t, home, "mesh", "leave")
	output(t, home, "mesh", "join", code)
}
