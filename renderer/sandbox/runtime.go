// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Runtime is what a job may read and execute beside the system's programs and
// libraries: an interpreter and its packages. It is found once for each
// environment.
type Runtime struct {
	// ReadOnly are host folders, or single files, by absolute paths. They appear
	// under the same paths inside, and under those that links lead to.
	ReadOnly []string

	// Secret are host folders, or single files, that nothing in ReadOnly may
	// contain: at least the node's home. A runtime may lie below one of them. Probe
	// tries to read them. The user's home folder is always one, and so are those in it that keep
	// keys, settings or documents.
	Secret []string

	// Check is a program and its arguments that Probe runs inside, if not empty.
	// It must end with code 0 within 20 s, which says that the sandbox can read
	// and run what jobs need.
	Check []string
}

// system are the host's programs and libraries, and what they look up. Folders
// that a system does not have are left out. No /proc, /sys, /run, /home, /root.
var system = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", // links into /usr on most systems
	"/nix/store", "/gnu/store", // the libraries of NixOS and Guix
	"/etc/ld.so.cache", "/etc/alternatives", // where the loader finds libraries on Debian
	"/etc/fonts", "/var/cache/fontconfig",
}

// closed are folders of the system that no runtime can be.
var closed = []string{"/", "/boot", "/dev", "/etc", "/home", "/media", "/mnt", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/var"}

// private are folders of a user's home that no runtime may contain. It may lie in
// one: pipx and uv keep environments in .local/share.
var private = []string{
	".aws", ".config", ".docker", ".gnupg", ".kube", ".local/share/keyrings", ".mozilla", ".password-store", ".ssh",
	"Desktop", "Documents", "Downloads",
}

// check refuses a runtime that would show a job more than a runtime.
func (r Runtime) check() error {
	secrets := slices.Clone(r.Secret)
	if home, err := os.UserHomeDir(); err == nil {
		secrets = append(secrets, home)
		for _, folder := range private {
			secrets = append(secrets, filepath.Join(home, filepath.FromSlash(folder)))
		}
	}
	for _, path := range r.ReadOnly {
		if slices.Contains(system, path) {
			continue // seen by every job; viewOf checks these
		}
		if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
			return fmt.Errorf("sandbox: runtime %q refused: not an absolute path", path)
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return fmt.Errorf("sandbox: runtime %q refused: %w", path, err)
		}
		for _, p := range []string{filepath.Clean(path), real} {
			if slices.Contains(closed, p) {
				return fmt.Errorf("sandbox: runtime %q refused: jobs of others could read all of %s: install it elsewhere", path, p)
			}
		}
		if secret := within(real, secrets); secret != "" {
			return fmt.Errorf("sandbox: runtime %q refused: jobs of others could read %s: install it elsewhere", path, secret)
		}
	}
	return nil
}

// within returns the first of the paths that is dir or lies below it, with all
// links followed; "" if none does.
func within(dir string, paths []string) string {
	for _, path := range paths {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			real = filepath.Clean(path) // it need not exist yet
		}
		if below(real, dir) {
			return path
		}
	}
	return ""
}

// below reports whether path is dir or lies in it. Both are clean and absolute.
func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
