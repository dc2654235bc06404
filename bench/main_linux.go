// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"meshnode/e2e/lan"
)

// part is one table.
type part struct {
	name  string
	title string
	run   func(*bench) error
}

var parts = []part{
	{"one", "One computer", oneComputer},
	{"mesh", "Four computers of half a core", halfCores},
	{"latency", "First remote frame", latency},
	{"join", "Joining", joining},
	{"quality", "Size and quality", quality},
	{"memory", "Memory of the engine", memory},
	{"long", "Memory over ten minutes of film", long},
}

// bench is what the parts share.
type bench struct {
	runs   int
	python string
	alone  error  // why there are no computers but this one
	homes  string // environments found once, to be copied into each home
	scenes []scene
}

// errSkipped is wrapped by the reason why a part, or a row, was left out.
var errSkipped = errors.New("left out")

func main() {
	b := &bench{}
	flag.IntVar(&b.runs, "runs", 3, "`number` of runs of which the median is taken")
	flag.StringVar(&b.python, "python", os.Getenv("MESHNODE_PYTHON"), "`path` of a Python with Manim")
	only := flag.String("only", "", "`parts` to measure, of: one,mesh,latency,join,quality,memory,long")
	flag.Parse()
	if err := b.measure(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) measure(only string) error {
	if b.python == "" || b.runs < 1 || flag.NArg() > 0 {
		return errors.New("name a Python with Manim in MESHNODE_PYTHON or with -python, and at least one run")
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		known := func(p part) bool { return p.name == name }
		if only != "" && !slices.ContainsFunc(parts, known) {
			return fmt.Errorf("there is no part %q", name)
		}
	}
	if b.alone = lan.Enter(build); b.alone != nil {
		tmp, err := os.MkdirTemp("", "bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		if err := errors.Join(os.Setenv("TMPDIR", tmp), build(tmp)); err != nil {
			return err
		}
	}
	if err := b.prepare(); err != nil {
		return err
	}
	if err := describeMachine(b.python); err != nil {
		return err
	}
	for _, p := range parts {
		if only != "" && !slices.Contains(wanted, p.name) {
			continue
		}
		fmt.Printf("\n## %s\n\n", p.title)
		switch err := p.run(b); {
		case errors.Is(err, errSkipped):
			fmt.Printf("%v\n", err)
		case err != nil:
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// build makes the program under test.
func build(tmp string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(tmp, "meshnode"), "meshnode/cmd/meshnode")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// program is the one under test.
func program() string { return filepath.Join(os.TempDir(), "meshnode") }

// say tells what is being measured; the tables go to standard output.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
