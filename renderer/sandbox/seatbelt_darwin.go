// SPDX-License-Identifier: MIT

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sandboxExec runs a program under a profile. Apple calls it deprecated; there is no
// other way in for a program that is not in a bundle.
const sandboxExec = "/usr/bin/sandbox-exec"

// readable are the programs and libraries of macOS, and what they look up.
var readable = []string{"/System", "/usr/lib", "/usr/share", "/usr/bin", "/bin", "/Library/Fonts", "/private/var/db/timezone"}

// setUlimits sets the limits that a shell has, and becomes the job.
const setUlimits = `ulimit -c 0 && ulimit -n "$1" && ulimit -f "$2" && ulimit -t "$3" && shift 3 && exec "$@"`

// startSeatbelt starts a job under a profile, in folders of the host. It leads a
// process group like one in Direct, but nothing keeps its children from leaving that.
func startSeatbelt(ctx context.Context, spec Spec) (*Proc, error) {
	if err := os.MkdirAll(spec.Scratch, 0o700); err != nil {
		return nil, fmt.Errorf("sandbox: no scratch folder: %w", err)
	}
	var err error
	if spec.Scratch, err = filepath.EvalSymlinks(spec.Scratch); err != nil { // profiles are about real paths
		return nil, fmt.Errorf("sandbox: no scratch folder: %w", err)
	}
	dirs := dirsIn(spec.Scratch)
	text, err := profile(spec.Runtime, dirs)
	if err != nil {
		return nil, err
	}
	cpu := "unlimited"
	if spec.Limits.CPU > 0 {
		cpu = strconv.FormatInt(int64((spec.Limits.CPU+time.Second-1)/time.Second), 10)
	}
	spec.Argv = append([]string{
		sandboxExec, "-p", text, "/bin/sh", "-c", setUlimits, "sh",
		strconv.Itoa(spec.Limits.OpenFiles), strconv.FormatInt(spec.Limits.FileSize/512, 10), cpu,
	}, spec.Argv...)
	spec.Env = append([]string{"HOME=" + dirs.Tmp, "TMPDIR=" + dirs.Tmp, "PATH=/usr/bin:/bin", "LANG=en_US.UTF-8"}, spec.Env...)
	return startDirect(ctx, spec)
}

// profile says what a job may do; everything else is denied, the network and other
// programs' services too.
func profile(r Runtime, dirs Dirs) (string, error) {
	programs := []string{"/usr/bin", "/bin"}
	for _, path := range r.ReadOnly {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", fmt.Errorf("sandbox: runtime: %w", err)
		}
		programs = append(programs, path, real)
	}
	return strings.Join([]string{
		"(version 1)",
		"(deny default)",
		"(allow process-fork)",
		"(allow process-info* (target same-sandbox))",
		"(allow signal (target same-sandbox))",
		"(allow sysctl-read)",
		"(allow file-read-metadata)", // links and folders on the way
		`(allow file-read* (literal "/") (literal "/dev/random") (literal "/dev/urandom") (literal "/dev/zero"))`,
		`(allow file-read* file-write-data (literal "/dev/null"))`,
		"(allow file-read*" + subpaths(slices.Concat(readable, programs)) + ")",
		"(allow process-exec" + subpaths(programs) + ")",
		"(allow file-read* file-write*" + subpaths([]string{dirs.In, dirs.Out, dirs.Tmp}) + ")",
		"(deny file-write-create (vnode-type SYMLINK))",
	}, "\n"), nil
}

// subpaths names folders, with all that is in them.
func subpaths(paths []string) string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var b strings.Builder
	for _, path := range paths {
		b.WriteString(` (subpath "` + quote.Replace(path) + `")`)
	}
	return b.String()
}
