// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// inside are the Dirs of every sandbox.
var inside = Dirs{In: "/in", Out: "/out", Tmp: "/tmp"}

// mount shows a host path inside, read-only, with what is mounted below it.
// A mount with FD shows that one instead, which the helper has inherited.
type mount struct {
	Source string // links followed
	Target string
	FD     int // of a detached mount, writable; 0 for none
}

// link is a symbolic link inside.
type link struct{ Target, Path string }

// tmpfs is a folder in memory inside.
type tmpfs struct {
	Path  string
	Space Space
}

// devices work like the host's; there are no others. Not /dev/zero: mapped as shared
// it is memory that no figure of a process shows.
var devices = []string{"/dev/null", "/dev/full", "/dev/random", "/dev/urandom"}

// view is what a sandbox shows of the host.
type view struct {
	mounts []mount
	links  []link
}

// viewOf works out what a job with that runtime sees. Links on the way are made
// plain, so that nothing inside points to a path that is not there.
func viewOf(r Runtime) (view, error) {
	var v view
	for _, path := range system {
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		if info.Mode()&os.ModeSymlink != 0 && filepath.Dir(path) == "/" {
			target, err := os.Readlink(path)
			if err != nil {
				return view{}, fmt.Errorf("sandbox: %w", err)
			}
			v.links = append(v.links, link{target, path})
			continue
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		if secret := within(real, r.Secret); secret != "" {
			return view{}, fmt.Errorf("sandbox: %s lies in %s, which jobs can read: move it elsewhere", secret, path)
		}
		v.mounts = append(v.mounts, mount{Source: real, Target: path})
	}
	for _, path := range r.ReadOnly {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return view{}, fmt.Errorf("sandbox: runtime: %w", err)
		}
		// Both names: other paths of the runtime may use either.
		v.mounts = append(v.mounts, mount{Source: real, Target: filepath.Clean(path)}, mount{Source: real, Target: real})
	}
	// A folder before what is in it, which then is there already.
	slices.SortStableFunc(v.mounts, func(a, b mount) int { return len(a.Target) - len(b.Target) })
	var top []mount
	for _, m := range v.mounts {
		if !slices.ContainsFunc(top, func(t mount) bool { return below(m.Target, t.Target) }) && !v.linked(m.Target) {
			top = append(top, m)
		}
	}
	v.mounts = top
	return v, nil
}

// linked reports whether a path lies behind one of the links, as /lib/x does.
func (v view) linked(path string) bool {
	return slices.ContainsFunc(v.links, func(l link) bool { return below(path, l.Path) })
}

func (v view) targets() []string {
	var paths []string
	for _, m := range v.mounts {
		paths = append(paths, m.Target)
	}
	return paths
}
