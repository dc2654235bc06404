// SPDX-License-Identifier: MIT

package environment

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

// ManagedManim is the version of Manim that Setup installs when it is not told
// another: the newest.
const ManagedManim = "0.22.0"

// release is a version of Manim of which managed environments can be made.
type release struct {
	manim    string
	maxMinor int // newest Python 3 for which all packages that are hard to build come built
}

// releases are all that meshnode is tried with, newest first.
var releases = []release{
	{ManagedManim, 14},
	{"0.21.0", 14},
	{"0.20.1", 14},
	{"0.19.0", 13}, // PyAV 13
}

// Every lock names every package, exactly and with the hashes of all its files.
// build.txt is what the packages without built files need to be built. They are
// made by scripts/lock from the .in files beside them.
//
//go:embed locks/*.txt
var locks embed.FS

func (r release) lock() []byte { return readLock("manim-" + r.manim) }

func buildLock() []byte { return readLock("build") }

func readLock(name string) []byte {
	b, err := locks.ReadFile("locks/" + name + ".txt")
	if err != nil { // each release has one: a test says so
		panic(err)
	}
	return b
}

// lockHash tells whether an environment is made from the locks of this program.
func (r release) lockHash() string { return shortHash(string(r.lock()) + string(buildLock())) }

// Supported returns the versions of Manim that Setup can install, newest first.
func Supported() []string {
	versions := make([]string, len(releases))
	for i, r := range releases {
		versions[i] = r.manim
	}
	return versions
}

// CheckVersion returns nil for a version that Setup can install.
func CheckVersion(version string) error {
	_, err := releaseOf(version)
	return err
}

func releaseOf(version string) (release, error) {
	i := slices.IndexFunc(releases, func(r release) bool { return r.manim == version })
	if i < 0 {
		return release{}, fmt.Errorf("version %.40q of Manim is not supported: choose one of %s", version, strings.Join(Supported(), ", "))
	}
	return releases[i], nil
}
