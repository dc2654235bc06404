// SPDX-License-Identifier: MIT

package environment

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	// setupTimeout allows for 100 MB over a slow line and a compiler on a slow
	// machine.
	setupTimeout = time.Hour
	// staleAfter is the age after which an unfinished environment is no longer
	// someone's work.
	staleAfter = 2 * setupTimeout
	setupDisk  = 1 << 30 // bytes: an environment takes half of it, the build some more
)

// receipt is written into a managed environment when it is complete.
type receipt struct {
	Lock string `json:"lock"` // hash of the locks it was made from
}

func (r release) folder(home string) string { return filepath.Join(folder(home), "manim-"+r.manim) }

func interpreterIn(prefix string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(prefix, "Scripts", "python.exe")
	}
	return filepath.Join(prefix, "bin", "python")
}

// managed returns the managed environment of that version, or nil when there is
// none.
func (r release) managed(ctx context.Context, home string) (*Environment, error) {
	prefix := r.folder(home)
	if _, err := os.Stat(filepath.Join(prefix, "receipt.json")); err != nil {
		return nil, nil
	}
	e, err := examine(ctx, home, interpreterIn(prefix), Managed)
	if err != nil {
		return nil, &Problem{What: "the managed environment with Manim " + r.manim + " no longer works", Err: err, Do: "run " + r.command()}
	}
	return e, nil
}

// command is what makes the environment, in quotes.
func (r release) command() string {
	if r.manim == ManagedManim {
		return `"meshnode setup"`
	}
	return `"meshnode setup --manim ` + r.manim + `"`
}

// Setup makes the managed environment with that version of Manim under home,
// beside those of other versions, or returns at once with the one that is there
// when it works and is from the same locks. It needs a Python and reads packages
// from the index that pip is configured for; each is checked against its hash.
// progress, which may be nil, gets a line for each step.
//
// What is made appears as a whole or not at all. Setups at the same time take
// turns: those that waited return what the first one made.
func Setup(ctx context.Context, home, version string, progress func(line string)) (*Environment, error) {
	r, err := releaseOf(version)
	if err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	if progress == nil {
		progress = func(string) {}
	}
	if home, err = filepath.Abs(home); err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	removeUnfinished(home)
	if e := r.current(ctx, home, func(string) {}); e != nil { // needs no lock, so no right to write
		return e, nil
	}
	wait, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	unlock, err := r.lockSetup(wait, home, progress)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if e := r.current(ctx, home, progress); e != nil {
		return e, nil
	}
	ctx, cancel = context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	if free, err := freeDisk(folder(home)); err == nil && free < setupDisk {
		return nil, &Problem{
			What: fmt.Sprintf("%d MB are free under %s, an environment needs %d MB", free>>20, folder(home), setupDisk>>20),
			Do:   "make room, or name another home with --home",
		}
	}
	b, err := findBase(ctx, r.maxMinor)
	if err != nil {
		return nil, err
	}
	progress(fmt.Sprintf("Making an environment with Manim %s for Python %s (%s).", r.manim, b.series(), b.Python))
	progress("It takes one to five minutes and about 500 MB; no other Python on this machine is changed.")
	if err := r.build(ctx, home, b, progress); err != nil {
		return nil, err
	}
	e, err := r.managed(ctx, home)
	if err == nil && e == nil {
		err = errors.New("environment: the new environment was removed meanwhile: run " + r.command() + " again")
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// current returns the managed environment if it needs no work.
func (r release) current(ctx context.Context, home string, progress func(string)) *Environment {
	b, err := os.ReadFile(filepath.Join(r.folder(home), "receipt.json"))
	if err != nil {
		return nil
	}
	var made receipt
	if json.Unmarshal(b, &made) != nil || made.Lock != r.lockHash() {
		progress("The environment is of another version of meshnode; it will be replaced.")
		return nil
	}
	e, err := r.managed(ctx, home)
	if err != nil {
		progress(err.Error())
		progress("It will be made again.")
		return nil
	}
	return e
}

// build makes the environment in a folder of its own and puts it in place.
func (r release) build(ctx context.Context, home string, b *base, progress func(string)) error {
	prefix := r.unfinished(home)
	defer os.RemoveAll(prefix) // finds nothing after success
	env := setupEnvironment(prefix)
	if err := runStep(ctx, progress, env, "make a virtual environment", b.Python, "-I", "-m", "venv", prefix); err != nil {
		return err
	}
	python := interpreterIn(prefix)
	for _, part := range []struct {
		what string
		lock []byte
	}{
		{"install the build tools", buildLock()},
		{"install Manim", r.lock()},
	} {
		file := filepath.Join(prefix, "requirements.txt")
		if err := os.WriteFile(file, part.lock, 0o600); err != nil {
			return fmt.Errorf("environment: %w", err)
		}
		// --no-deps: the lock is complete, and nothing outside it may come in.
		if err := runStep(ctx, progress, env, part.what, python, "-I", "-m", "pip", "install",
			"--require-hashes", "--no-deps", "--no-build-isolation", "--no-input", "--no-user", "--no-warn-script-location",
			"--disable-pip-version-check", "--progress-bar", "off", "-r", file); err != nil {
			return err
		}
	}
	result, err := probe(ctx, python)
	if err != nil {
		return err
	}
	if err := result.problem(python); err != nil {
		return err
	}
	if err := moveScripts(prefix, r.folder(home)); err != nil {
		return err
	}
	// What the receipt speaks for must not be lost when it is not.
	if err := persist(prefix); err != nil {
		return fmt.Errorf("environment: write all of %s to the disk: %w", prefix, err)
	}
	if err := writeJSON(filepath.Join(prefix, "receipt.json"), receipt{Lock: r.lockHash()}); err != nil {
		return err
	}
	return replace(prefix, r.folder(home))
}

// persist is a variable for the test of what comes before and after it.
var persist = persistTree

// runStep runs one program of the setup. Its lines about packages go to
// progress; the end of all it says goes into the error.
func runStep(ctx context.Context, progress func(string), env []string, what, program string, args ...string) error {
	said := tail{max: 2 << 10}
	show := lines{each: func(line string) {
		fmt.Fprintln(&said, line)
		if shown, ok := strings.CutPrefix(line, "Collecting "); ok {
			shown, _, _ = strings.Cut(shown, " ")
			progress("  " + strings.ReplaceAll(shown, "==", " "))
		} else if strings.HasPrefix(line, "Building wheels") || strings.HasPrefix(line, "Installing collected") {
			verb, _, _ := strings.Cut(line, ":")
			progress("  " + verb)
		}
	}}
	cmd := command(ctx, program, args...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = &show, &show
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("environment: %s: %w", what, ctx.Err())
	}
	if err != nil {
		return &Problem{What: what, Err: withOutput(err, &said), Do: adviceFor(said.bytes())}
	}
	return nil
}

// adviceFor reads the commonest causes from what pip said last.
func adviceFor(said []byte) string {
	has := func(words ...string) bool {
		for _, w := range words {
			if bytes.Contains(said, []byte(w)) {
				return true
			}
		}
		return false
	}
	switch {
	case has("No space left on device"):
		return "make room and run \"meshnode setup\" again"
	case has("ensurepip is not available"):
		return "run " + installCommand(hostSystem(), "", needVenv)
	case has("Python.h: No such file"):
		return "run " + installCommand(hostSystem(), "", needHeaders)
	case has("DO NOT MATCH THE HASHES"):
		return "the package index gave other files than were published; check PIP_INDEX_URL and pip's configuration"
	case has("Temporary failure in name resolution", "Failed to establish a new connection", "Read timed out", "No matching distribution", "ProxyError", "SSLError"):
		return "check that this machine reaches the Python package index, then run \"meshnode setup\" again"
	case has("Failed building wheel", "Dependency lookup", "pkg-config", "metadata-generation-failed"):
		return "run " + installCommand(hostSystem(), "", needCompiler, needHeaders, needPkgConfig, needCairo, needPango)
	}
	return "mend the cause above, then run \"meshnode setup\" again"
}

// setupEnvironment is the user's, for proxies, certificates and package
// indexes, without what would send packages elsewhere, and with the build tools
// of the environment at prefix first on PATH.
func setupEnvironment(prefix string) []string {
	tools := filepath.Dir(interpreterIn(prefix))
	env := []string{"PATH=" + tools + string(filepath.ListSeparator) + os.Getenv("PATH")}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch strings.ToUpper(name) {
		case "PATH", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT",
			"PIP_PYTHON", "PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_REQUIRE_VIRTUALENV", "PIP_EDITABLE":
		default:
			env = append(env, entry)
		}
	}
	return env
}

// unfinished returns a new name beside the managed environment and as long, so
// that moveScripts can replace one by the other within files of any kind.
func (r release) unfinished(home string) string {
	final := r.folder(home)
	name := "." + rand.Text()[:len(filepath.Base(final))-1]
	return filepath.Join(filepath.Dir(final), name)
}

// removeUnfinished removes what setups left that were killed.
func removeUnfinished(home string) {
	entries, err := os.ReadDir(folder(home))
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), ".") && time.Since(info.ModTime()) > staleAfter {
			os.RemoveAll(filepath.Join(folder(home), e.Name()))
		}
	}
}

// moveScripts makes the scripts of a virtual environment, which name the folder
// they are in, name the one that it will be in.
func moveScripts(from, to string) error {
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		if d.IsDir() && rel != "." && rel != filepath.Dir(interpreterIn("")) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		old, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		renamed := bytes.ReplaceAll(old, []byte(from), []byte(to))
		if bytes.Equal(old, renamed) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(path, renamed, info.Mode().Perm())
	})
	if err != nil {
		return fmt.Errorf("environment: name the new folder in the scripts of %s: %w", from, err)
	}
	return nil
}

// replace puts the folder from in the place of to, which stays when that fails.
func replace(from, to string) error {
	old := from + "-"
	moved := os.Rename(to, old)
	if moved != nil && !errors.Is(moved, fs.ErrNotExist) {
		return &Problem{What: "the old environment cannot be moved away", Err: moved, Do: "stop the nodes that use it"}
	}
	if err := os.Rename(from, to); err != nil {
		if moved == nil {
			err = errors.Join(err, os.Rename(old, to))
		}
		return fmt.Errorf("environment: put the new environment in place: %w", err)
	}
	os.RemoveAll(old)
	return nil
}
