// SPDX-License-Identifier: MIT

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"meshnode/e2e/lan"
)

// notPermitted says why there are no computers to test on.
var notPermitted error

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		notPermitted = errors.New("end-to-end tests take minutes: skipped with -short")
	} else {
		notPermitted = lan.Enter(build)
	}
	code := m.Run()
	if house != nil {
		if err := house.close(); err != nil {
			fmt.Println(err)
			code = 1
		}
		if left := processes(); len(left) > 0 {
			fmt.Println("left over:", left)
			code = 1
		}
	}
	os.Exit(code)
}

// build makes the program under test.
func build(tmp string) error {
	cmd := exec.Command("go", "build", "-o", filepath.Join(tmp, "meshnode"), "meshnode/cmd/meshnode")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build meshnode: %w\n%s", err, out)
	}
	return nil
}

// Everything that the tests make lies under os.TempDir, which is removed with
// the process; paths are short, as those of sockets must be.
func program() string { return filepath.Join(os.TempDir(), "meshnode") }

// python is the interpreter with Manim, or "".
func python() string { return os.Getenv("MESHNODE_PYTHON") }

func needManim(t *testing.T) {
	t.Helper()
	if python() == "" {
		t.Skip("MESHNODE_PYTHON does not name a Python with Manim")
	}
}

// environment is what the programs get: the user's, but for what could make two
// renders differ or lead to the user's own nodes.
var environment = sync.OnceValue(func() []string {
	home := filepath.Join(os.TempDir(), "user")
	if err := os.MkdirAll(home, 0o700); err != nil {
		panic(err)
	}
	drop := []string{"MESHNODE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "NO_COLOR", "COLUMNS"}
	var env []string
	for _, v := range os.Environ() {
		if !hasName(v, drop...) {
			env = append(env, v)
		}
	}
	return append(env, "HOME="+home, "PYTHONHASHSEED=0", "LC_ALL=C.UTF-8")
})

func hasName(variable string, names ...string) bool {
	for _, n := range names {
		if len(variable) > len(n) && variable[:len(n)+1] == n+"=" {
			return true
		}
	}
	return false
}

// project is the folder with the scenes: a copy, as Python leaves its caches
// beside them.
var project = sync.OnceValue(func() string {
	dir := filepath.Join(os.TempDir(), "project")
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		panic(err)
	}
	return dir
})

// folders counts the folders made for tests.
var folders int

// folder returns a new one with a short name.
func folder(t *testing.T) string {
	t.Helper()
	folders++
	dir := filepath.Join(os.TempDir(), fmt.Sprint(folders))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}
