// SPDX-License-Identifier: MIT

package job

import (
	"strings"
	"testing"
)

// TestMeetsPackages: an environment must have the packages that a scene uses, in
// the same versions, however equal its fingerprint is.
func TestMeetsPackages(t *testing.T) {
	env := Environment{Renderer: "manim", Version: "0.21.0", Fingerprint: "f", Packages: []string{"manim-slides 5.6.0", "rich 14.0"}}
	for want, packages := range map[string][]string{
		"": {"rich 14.0"},
		"package manim-slides 5.6.0 here, the scene uses 5.7.0: install that version for this manim 0.21.0": {"rich 14.0", "manim-slides 5.7.0"},
		"no package slides here, the scene uses slides 2: install it for this manim 0.21.0":                 {"slides 2"},
	} {
		got := ""
		if err := env.Meets(Need{Renderer: "manim", Version: "0.21.0", Fingerprint: "f", Packages: packages}, nil); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", packages, got, want)
		}
	}
	need := testNeed()
	need.Packages = []string{strings.Repeat("x", MaxName+1)}
	if (&Call{Need: need}).validate() == nil {
		t.Error("a long name is taken")
	}
	need.Packages = make([]string, MaxPackages+1)
	if (&Call{Need: need}).validate() == nil {
		t.Error("many names are taken")
	}
}
