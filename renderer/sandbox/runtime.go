// SPDX-License-Identifier: MIT

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Runtime is what a job may read and execute beside the system's programs and
// libraries. It is found once for each environment.
type Runtime struct {
	// Command is the interpreter, by its absolute path, and its own options.
	Command []string

	// ReadOnly are host folders, or single files, with absolute paths. They
	// appear under the same paths inside.
	ReadOnly []string

	// Secret are host folders that nothing in ReadOnly may contain: at least the
	// node's home. A runtime may lie below one of them. Probe tries to read
	// them. The user's home folder is always one.
	Secret []string

	// Check is a program and its arguments that Probe runs inside. It must end
	// with code 0, which says that the sandbox can read and run what jobs need.
	Check []string
}

// whereabouts prints what a Python needs to run: its folders, and the libraries
// that it has loaded from anywhere.
const whereabouts = `
import json, os, sys
paths = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
paths += [p for p in sys.path if os.path.isabs(p) and os.path.exists(p)]
try:
    with open("/proc/self/maps") as maps:
        paths += [line.split(None, 5)[5].rstrip("\n") for line in maps if " r-xp " in line and ".so" in line]
except OSError:
    pass
print(json.dumps({"executable": sys.executable, "paths": paths}))
`

// FindPython asks a Python, started with its options, what it needs. It runs on
// the host: the interpreter is the owner's. secret is for Runtime.Secret. It
// takes up to 10 s.
func FindPython(ctx context.Context, command, secret []string) (Runtime, error) {
	if len(command) == 0 {
		return Runtime{}, errors.New("sandbox: python not found: no command given")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	args := slices.Concat(command[1:], []string{"-c", whereabouts})
	cmd := exec.CommandContext(ctx, command[0], args...)
	cmd.WaitDelay = time.Second
	cmd.Dir = "/" // its folder is on sys.path for some options
	if os.PathSeparator != '/' {
		cmd.Dir = ""
	}
	text, err := cmd.Output()
	if err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && len(exit.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return Runtime{}, fmt.Errorf("sandbox: python %q did not answer: %w", command[0], err)
	}
	var answer struct {
		Executable string
		Paths      []string
	}
	if err := json.Unmarshal(text, &answer); err != nil || !filepath.IsAbs(answer.Executable) {
		return Runtime{}, fmt.Errorf("sandbox: python %q did not answer as expected: %.100q", command[0], text)
	}
	found := slices.Concat([]string{answer.Executable}, command[1:])
	return Runtime{
		Command:  found,
		ReadOnly: outermost(append(answer.Paths, filepath.Dir(answer.Executable))),
		Secret:   secret,
		Check:    slices.Concat(found, []string{"-c", "pass"}),
	}, nil
}

// outermost drops what lies in another of the paths, or in /usr, which every
// sandbox shows. The result is sorted.
func outermost(paths []string) []string {
	var keep []string
	for _, p := range paths {
		if filepath.IsAbs(p) && !below(filepath.Clean(p), "/usr") && !strings.HasPrefix(p, "/lib") {
			keep = append(keep, filepath.Clean(p))
		}
	}
	slices.Sort(keep) // a folder before what is in it
	var top []string
	for _, p := range keep {
		if !slices.ContainsFunc(top, func(dir string) bool { return below(p, dir) }) {
			top = append(top, p)
		}
	}
	return top
}
