// SPDX-License-Identifier: MIT

package job

import (
	"strings"
	"testing"
)

func TestAdvertEnvironment(t *testing.T) {
	env := func(version, fingerprint, selfTest string) Environment {
		return Environment{Renderer: "manim", Version: version, Fingerprint: fingerprint, SelfTest: selfTest}
	}
	need := env("0.22.0", "f", "s").Need()
	for _, c := range []struct {
		name string
		have []Environment
		want string // fingerprint, or a part of the error
	}{
		{"nothing", nil, "no manim"},
		{"another renderer", []Environment{{Renderer: "synthetic", Version: "0.22.0", Fingerprint: "f"}}, "no manim"},
		{"other versions", []Environment{env("0.21.0", "f", "s"), env("0.19.0", "f", "s"), env("0.21.0", "g", "s")},
			`manim 0.21.0 and 0.19.0 here, the job needs 0.22.0: run "meshnode setup --manim 0.22.0"`},
		{"the same", []Environment{env("0.21.0", "f", "s"), env("0.22.0", "f", "")}, "f"},
		{"an equal self-test", []Environment{env("0.22.0", "g", "s")}, "g"},
		{"the same behind an equal one", []Environment{env("0.22.0", "g", "s"), env("0.22.0", "f", "s")}, "f"},
		{"another self-test", []Environment{env("0.21.0", "f", "s"), env("0.22.0", "g", "t")}, "self-test differently"},
		{"no self-test yet", []Environment{env("0.22.0", "g", "")}, "self-test"},
	} {
		a := &Advert{Environments: c.have}
		got, err := a.Environment(need)
		switch {
		case err != nil && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: error %q; want %q", c.name, err, c.want)
		case err == nil && got.Fingerprint != c.want:
			t.Errorf("%s: got %q; want %q", c.name, got.Fingerprint, c.want)
		}
	}
}
