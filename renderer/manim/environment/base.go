// SPDX-License-Identifier: MIT

package environment

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// base is a Python from which a managed environment can be made.
type base struct {
	Python  string `json:"python"` // its own name for itself, behind any launcher
	Major   int    `json:"major"`
	Minor   int    `json:"minor"`
	Bits    int    `json:"bits"`
	Venv    bool   `json:"venv"`    // can make virtual environments with pip
	Headers bool   `json:"headers"` // Python.h is there
}

const baseScript = `
import importlib.util, json, os, sys, sysconfig
print(json.dumps({
    "python": sys.executable, "major": sys.version_info[0], "minor": sys.version_info[1],
    "bits": 64 if sys.maxsize > 2**32 else 32,
    "venv": all(importlib.util.find_spec(m) for m in ("venv", "ensurepip")),
    "headers": os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")),
}))
`

// minMinor is the oldest Python 3 that the engine, and Manim from 0.20 on, can do
// with.
const minMinor = 11

// baseNames are tried in this order: the system's own choice first, which has
// its headers in the package that distributions name, then the newest that is
// well tried.
var baseNames = []string{"python3", "python3.13", "python3.12", "python3.11", "python3.14", "python"}

func (b *base) series() string { return fmt.Sprintf("%d.%d", b.Major, b.Minor) }

func (b *base) suits(maxMinor int) bool {
	return b.Major == 3 && b.Minor >= minMinor && b.Minor <= maxMinor && b.Bits == 64
}

// lacks returns what must be installed before an environment can be made from
// b. Linux and macOS build pycairo, and Linux ManimPango too, from source.
func (b *base) lacks(ctx context.Context) []need {
	var out []need
	if !b.Venv {
		out = append(out, needVenv)
	}
	if runtime.GOOS == "windows" {
		return out
	}
	if !b.Headers {
		out = append(out, needHeaders)
	}
	if !anyInPath(os.Getenv("CC"), "cc", "gcc", "clang") {
		out = append(out, needCompiler)
	}
	if !anyInPath(os.Getenv("PKG_CONFIG"), "pkg-config") {
		// Without it nothing can be said of the libraries; the command that
		// installs it had better install them too.
		return append(out, needPkgConfig, needCairo, needPango)
	}
	if !hasLibrary(ctx, "cairo") {
		out = append(out, needCairo)
	}
	if runtime.GOOS != "darwin" && !hasLibrary(ctx, "pangocairo") {
		out = append(out, needPango)
	}
	return out
}

// findBase returns the first Python on PATH, up to 3.maxMinor, that lacks nothing,
// or the problem of the first suitable one.
func findBase(ctx context.Context, maxMinor int) (*base, error) {
	var first error
	var seen []string
	for _, name := range baseNames {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		b, err := askBase(ctx, path)
		if err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("environment: look for a Python: %w", ctx.Err())
			}
			seen = append(seen, path+" does not run")
			continue
		}
		if !b.suits(maxMinor) {
			seen = append(seen, fmt.Sprintf("%s is %s (%d bits)", path, b.series(), b.Bits))
			continue
		}
		lacks := b.lacks(ctx)
		if len(lacks) == 0 {
			return b, nil
		}
		if first == nil {
			first = &Problem{
				What: fmt.Sprintf("Manim cannot be installed for %s yet, this is missing: %s", b.Python, join(lacks)),
				Do:   "run " + installCommand(hostSystem(), b.series(), lacks...),
			}
		}
	}
	if first != nil {
		return nil, first
	}
	what := fmt.Sprintf("Manim needs Python 3.%d to 3.%d, and there is none", minMinor, maxMinor)
	if len(seen) > 0 {
		what += " (" + strings.Join(seen, ", ") + ")"
	}
	return nil, &Problem{What: what, Do: "run " + installCommand(hostSystem(), "", needPython, needVenv, needHeaders, needCompiler, needPkgConfig, needCairo, needPango)}
}

func askBase(ctx context.Context, python string) (*base, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	stdout := tail{max: 4 << 10}
	cmd := command(ctx, python, "-I", "-c", baseScript)
	cmd.Stdout = &stdout
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	b := new(base)
	if err := json.Unmarshal(stdout.bytes(), b); err != nil {
		return nil, err
	}
	return b, nil
}

func anyInPath(names ...string) bool {
	for _, n := range names {
		// $CC may carry flags.
		if f := strings.Fields(n); len(f) > 0 {
			if _, err := exec.LookPath(f[0]); err == nil {
				return true
			}
		}
	}
	return false
}

func hasLibrary(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	program := os.Getenv("PKG_CONFIG")
	if program == "" {
		program = "pkg-config"
	}
	return command(ctx, program, "--exists", name).Run() == nil
}
