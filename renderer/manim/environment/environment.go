// SPDX-License-Identifier: MIT

// Package environment finds, makes and checks the Python environments that
// Manim runs in.
//
// A machine may have several of them, of two origins. Managed ones are made by
// [Setup] under the node's home, one for each version of Manim, from embedded
// lists of exact versions with their hashes, so that machines set up by the same
// meshnode draw and encode alike. Adopted ones are the user's own, named once to
// [Adopt]. A Manim that merely happens to be on
// PATH is never used without being asked for: a job's exactness depends on which
// one draws it. [Doctor] tells about it.
package environment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Origin says where an environment comes from.
type Origin string

// Origins.
const (
	Managed Origin = "managed" // made by Setup
	Adopted Origin = "adopted" // named to Adopt
	Given   Origin = "given"   // named to Find, remembered nowhere
)

// Environment is one Python with a working Manim.
type Environment struct {
	Python  string `json:"python"` // absolute path of the interpreter, as it must be started
	Origin  Origin `json:"origin"`
	Manim   string `json:"manim"`          // version
	Version string `json:"python_version"` // of Python

	// Prefixes are the folders that hold all that the interpreter loads, none
	// inside another: what a sandbox must let it read. System folders such as
	// /usr are among them if it needs them.
	Prefixes []string `json:"prefixes"`

	// Components are the versions, libraries and CPU features that can change a
	// pixel or a byte of output, by name.
	Components map[string]string `json:"components"`

	// Fingerprint is the hexadecimal SHA-256 over Components. Equal fingerprints
	// promise equal output; different ones promise nothing.
	Fingerprint string `json:"fingerprint"`

	// Packages are the versions of what is installed beside Manim and what it
	// requires, by name: lower case, with dashes.
	Packages map[string]string `json:"packages,omitempty"`

	Images bool `json:"images"` // image mobjects work; they do not under Pillow 13
	Fonts  int  `json:"fonts"`  // font families that Pango sees
}

// Problem is a finding that the user can mend.
type Problem struct {
	What string // what is wrong, with what
	Do   string // the exact command to run, or the change to make
	Err  error  // the cause; may be nil
}

func (p *Problem) Error() string {
	s := "environment: " + p.What
	if p.Err != nil {
		s += ": " + p.Err.Error()
	}
	switch {
	case p.Do == "":
	case strings.Contains(s, "\n"): // a program's own words are several lines
		s += "\n" + p.Do
	default:
		s += ": " + p.Do
	}
	return s
}

func (p *Problem) Unwrap() error { return p.Err }

// Find returns the environments that work here, the one for jobs of this machine
// first: that of python if one is named, then managed ones, the newest Manim
// first, then adopted ones, the last adopted first. When none works, or python
// does not, the error says why and what to do.
//
// The first look at an interpreter takes a second or two. What it found is kept
// under home until the interpreter, its packages, the libraries it loads or the
// CPU change; later calls then cost some file system look-ups.
func Find(ctx context.Context, home, python string) ([]Environment, error) {
	found, problems := look(ctx, home, python)
	if len(found) == 0 || python != "" && found[0].Origin != Given {
		return nil, errors.Join(problems...)
	}
	return found, nil
}

// look is Find with what is wrong beside what works.
func look(ctx context.Context, home, python string) (found []Environment, problems []error) {
	add := func(e *Environment, err error) {
		switch {
		case err != nil:
			problems = append(problems, err)
		case e != nil && !slices.ContainsFunc(found, func(f Environment) bool { return f.Python == e.Python }):
			found = append(found, *e)
		}
	}
	if python != "" {
		add(examine(ctx, home, python, Given))
	}
	for _, r := range releases {
		add(r.managed(ctx, home))
	}
	adopted, err := adoptedPythons(home)
	if err != nil {
		problems = append(problems, err)
	}
	for _, p := range adopted {
		add(examine(ctx, home, p, Adopted))
	}
	if len(found) == 0 && len(problems) == 0 {
		problems = append(problems, &Problem{What: "no Manim is set up here", Do: `run "meshnode setup"`})
	}
	return found, problems
}

// fingerprint hashes components in one canonical form.
func fingerprint(components map[string]string) string {
	h := sha256.New()
	fmt.Fprintln(h, "meshnode environment 1")
	for _, name := range slices.Sorted(maps.Keys(components)) {
		fmt.Fprintf(h, "%q=%q\n", name, components[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}
