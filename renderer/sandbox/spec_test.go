// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRefusedSpecs(t *testing.T) {
	dir := t.TempDir()
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	home := filepath.Join(dir, "home")
	runtime := filepath.Join(home, "environments", "manim")
	if err := os.MkdirAll(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(home, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	user := filepath.Join(dir, "user")
	for _, folder := range []string{".local/share/pipx/venvs/manim", ".pyenv/versions/3.12", ".venv", ".ssh"} {
		if err := os.MkdirAll(filepath.Join(user, filepath.FromSlash(folder)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", user)
	t.Setenv("USERPROFILE", user)
	usual := Runtime{ReadOnly: []string{filepath.Join(user, ".local/share/pipx/venvs/manim"), filepath.Join(user, ".pyenv/versions/3.12"), filepath.Join(user, ".venv")}}
	program := []string{filepath.Join(dir, "program")}
	tests := []struct {
		name string
		tier Tier
		spec Spec
		want string // in the error; "" for none
	}{
		{"nothing to run", Own, Spec{}, "absolute path"},
		{"relative program", Own, Spec{Argv: []string{"true"}}, "absolute path"},
		{"NUL", Own, Spec{Argv: []string{program[0], "a\x00b"}}, "NUL"},
		{"no scratch", Direct, Spec{Argv: program}, "scratch"},
		{"negative limit", Own, Spec{Argv: program, Limits: Limits{Memory: -1}}, "negative"},
		{"runtime in the home", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{runtime}, Secret: []string{home}}}, ""},
		{"the home as runtime", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{home}, Secret: []string{home}}}, "could read"},
		{"around the home", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{dir}, Secret: []string{home}}}, "could read"},
		{"a link to the home", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{link}, Secret: []string{home}}}, "could read"},
		{"a home to come", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{dir}, Secret: []string{filepath.Join(dir, "later")}}}, "could read"},
		{"a runtime that is not there", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{filepath.Join(dir, "none")}}}, "refused"},
		{"environments where they usually are", Own, Spec{Argv: program, Runtime: usual}, ""},
		{"what has keyrings in it", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{filepath.Join(user, ".local")}}}, "could read"},
		{"keys of the user", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{filepath.Join(user, ".ssh")}}}, "could read"},
		{"the system", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{"/usr"}}}, ""},
		{"a relative runtime", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{"usr"}}}, "absolute"},
		{"everything", Own, Spec{Argv: program, Runtime: Runtime{ReadOnly: []string{filepath.VolumeName(dir) + string(filepath.Separator)}}}, "could read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.spec.Limits = test.spec.Limits.orDefault()
			err := test.spec.check(test.tier)
			if test.want == "" && err != nil {
				t.Error(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// No sandbox is never a reason to run a job without one.
func TestNoneStartsNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tier := range []Tier{None, "", "other"} {
		p, err := Start(t.Context(), tier, Spec{Argv: []string{self}, Scratch: t.TempDir()})
		if p != nil || !errors.Is(err, ErrNone) {
			t.Errorf("tier %q: %v", tier, err)
		}
	}
}
