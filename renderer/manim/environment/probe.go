// SPDX-License-Identifier: MIT

package environment

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

//go:embed probe.py
var probeScript string

const (
	// probeTimeout covers a cold import of Manim on a slow disk under a virus
	// scanner; a warm one takes about a second.
	probeTimeout = 2 * time.Minute
	maxProbe     = 1 << 20 // bytes of a probe's answer
)

// probeResult is what probe.py prints.
type probeResult struct {
	Implementation string            `json:"implementation"`
	Version        string            `json:"version"`
	Bits           int               `json:"bits"`
	Prefixes       []string          `json:"prefixes"` // sys.prefix, sys.base_prefix
	Paths          []string          `json:"paths"`    // sys.path
	Sites          []string          `json:"sites"`    // site-packages folders
	Components     map[string]string `json:"components"`
	Packages       map[string]string `json:"packages"`
	Libraries      []string          `json:"libraries"` // shared libraries in use
	Fonts          int               `json:"fonts"`
	Images         bool              `json:"images"`
	Broken         *struct {
		Step  string `json:"step"` // manim, versions, encoder, fonts
		Error string `json:"error"`
	} `json:"broken"`
}

// examine returns what is known of an interpreter, from the cache when nothing
// changed.
func examine(ctx context.Context, home, python string, origin Origin) (*Environment, error) {
	python, err := filepath.Abs(python)
	if err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	e := readCache(home, python)
	if e == nil {
		r, err := probe(ctx, python)
		if err != nil {
			return nil, err
		}
		if err := r.problem(python); err != nil {
			return nil, err
		}
		e = r.environment(python)
		writeCache(home, e, r.watched(python))
	}
	e.Origin = origin
	return e, nil
}

// probe asks the interpreter. The answer may be of an environment without Manim
// or with a broken one.
func probe(ctx context.Context, python string) (*probeResult, error) {
	if _, err := os.Stat(python); err != nil {
		return nil, &Problem{What: "no Python at " + python, Err: err, Do: `run "meshnode setup", or name another with --python`}
	}
	empty, err := os.MkdirTemp("", "meshnode-probe-")
	if err != nil {
		return nil, fmt.Errorf("environment: make a folder for the check of %s: %w", python, err)
	}
	defer os.RemoveAll(empty)

	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	stdout, stderr := tail{max: maxProbe}, tail{max: 4 << 10}
	cmd := command(ctx, python, "-I", "-W", "ignore", "-")
	cmd.Dir = empty
	cmd.Env = bareEnvironment(empty)
	cmd.Stdin = strings.NewReader(probeScript)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, &Problem{What: python + " does not run", Err: withOutput(err, &stderr), Do: "name another with --python"}
	}
	r := new(probeResult)
	if err := json.Unmarshal(stdout.bytes(), r); err != nil {
		return nil, &Problem{What: python + " does not answer as Python 3 does", Err: err, Do: "name another with --python"}
	}
	return r, nil
}

// problem returns why the environment cannot be used, or nil.
func (r *probeResult) problem(python string) error {
	pip := python + " -m pip install "
	switch {
	case r.Components["manim"] == "":
		return &Problem{What: "no Manim for " + python, Do: "install it there, in a virtual environment (user site-packages are not looked at), or run \"meshnode setup\""}
	case r.Broken == nil:
		return nil
	}
	p := &Problem{Err: errors.New(r.Broken.Error)}
	switch {
	case r.Broken.Step == "encoder":
		p.What, p.Do = "PyAV of "+python+" cannot encode H.264", "run "+pip+"--force-reinstall --only-binary av av"
	case strings.Contains(r.Broken.Error, "No module named"):
		p.What, p.Do = "Manim of "+python+" lacks a package", "run "+pip+"manim=="+r.Components["manim"]
	case strings.Contains(r.Broken.Error, "cannot open shared object file") || strings.Contains(r.Broken.Error, "Library not loaded"):
		p.What, p.Do = "Manim of "+python+" lacks a system library", "run "+installCommand(hostSystem(), pythonSeries(r.Version), needCairo, needPango)
	default:
		p.What, p.Do = "Manim of "+python+" does not start", `mend it, or run "meshnode setup"`
	}
	return p
}

func (r *probeResult) environment(python string) *Environment {
	return &Environment{
		Python:      python,
		Manim:       r.Components["manim"],
		Version:     r.Version,
		Prefixes:    r.readOnly(python),
		Components:  r.Components,
		Fingerprint: fingerprint(r.Components),
		Packages:    r.Packages,
		Images:      r.Images,
		Fonts:       r.Fonts,
	}
}

// readOnly returns the folders that the interpreter loads from: its prefixes,
// then whatever the search path, the loaded libraries and the links on the way
// to the interpreter add.
func (r *probeResult) readOnly(python string) []string {
	var out []string
	add := func(folder string) {
		if folder == "" || slices.ContainsFunc(out, func(p string) bool { return within(folder, p) }) {
			return
		}
		out = slices.DeleteFunc(out, func(p string) bool { return within(p, folder) })
		out = append(out, folder)
	}
	for _, p := range slices.Concat(r.Prefixes, r.Paths) {
		add(p)
		if real, err := filepath.EvalSymlinks(p); err == nil {
			add(real)
		}
	}
	for _, l := range r.Libraries {
		add(filepath.Dir(l))
	}
	for link, hops := python, 0; hops < 40; hops++ {
		add(filepath.Dir(link))
		next, err := os.Readlink(link)
		if err != nil {
			break
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(link), next)
		}
		link = next
	}
	slices.Sort(out)
	return out
}

// within reports whether path is folder or lies in it. Both are clean.
func within(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// watched returns the files and folders whose change makes the result stale. An
// installed or removed package changes its site-packages folder.
func (r *probeResult) watched(python string) []string {
	out := []string{python}
	if real, err := filepath.EvalSymlinks(python); err == nil {
		out = append(out, real)
	}
	if len(r.Prefixes) > 0 {
		out = append(out, filepath.Join(r.Prefixes[0], "pyvenv.cfg"))
	}
	return slices.Concat(out, r.Sites, r.Libraries)
}

// pythonSeries returns "3.12" for "3.12.4".
func pythonSeries(version string) string {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return version
	}
	return parts[0] + "." + parts[1]
}

// bareEnvironment returns what an interpreter needs to start anywhere, and no
// more: the user's settings must not decide what a probe finds.
func bareEnvironment(home string) []string {
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	if runtime.GOOS == "windows" {
		env = append(env, "USERPROFILE="+home, "TEMP="+home, "SYSTEMROOT="+os.Getenv("SYSTEMROOT"))
	}
	return env
}
