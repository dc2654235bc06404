// SPDX-License-Identifier: MIT

package manim

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSurvey: of a project the names of files that are not hidden are told, and
// of a home folder none but those that the scene listed.
func TestSurvey(t *testing.T) {
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		var err error
		if python, err = exec.LookPath("python3"); err != nil {
			t.Skip("no Python")
		}
	}
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"taxes.txt", "films/one/scene.py", "films/one/.env", "films/one/data/a.csv", "films/one/data/.b.csv", "films/one/.git/config",
		"films/one/env/pyvenv.cfg", "films/one/env/lib.py", "films/one/__pycache__/scene.pyc", "films/one/made.txt", "films/other/secret.txt",
	} {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"inside.csv": "data/a.csv", "hidden.csv": ".env", "outside.txt": "../../taxes.txt", "other": "../other"} {
		if err := os.Symlink(to, filepath.Join(home, "films/one", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ what, root, folders, listed, want string }{
		{"a project", "films/one", "films/one", "", "__pycache__/ data/ data/a.csv env/ inside.csv scene.py"},
		{"with a folder listed", "films/one", "films/one", "films/one/data", "__pycache__/ data/ data/.b.csv data/a.csv env/ inside.csv scene.py"},
		{"a root that has grown", "films", "films/one", "", "one/__pycache__/ one/data/ one/data/a.csv one/env/ one/inside.csv one/other/ one/scene.py"},
		{"a home folder", ".", ".", "", ""},
		{"listed in a home folder", ".", ".", "films/one/data", "films/one/data/.b.csv films/one/data/a.csv"},
		{"a script below a home folder, which is the working one", ".", "films/one/data .", "", "films/one/data/a.csv"},
		{"a hidden folder listed", "films/one", "films/one/data", "films/one/.git", "data/a.csv"},
	} {
		cmd := exec.CommandContext(t.Context(), python, "-c", `
import os, sys
sys.path.insert(0, ".")
from engine import late
home, root, folders, listed = sys.argv[1:]
at = lambda names: [os.path.normpath(os.path.join(home, name)) for name in names.split()]
closed = lambda path: os.path.exists(os.path.join(path, "pyvenv.cfg"))
(root,), made = at(root), os.path.join(home, "films/one/made.txt")
print(" ".join(row[0] for row in late.survey(root, at(folders), at(listed), closed, {made})))
`, home, test.root, test.folders, test.listed)
		cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "HOME="+home)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != test.want {
			t.Errorf("%s:\n got %s (%v)\nwant %s", test.what, got, err, test.want)
		}
	}
}
