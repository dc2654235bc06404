// SPDX-License-Identifier: MIT

package job

import (
	"errors"
	"strings"
	"testing"
)

func TestAdvertEnvironment(t *testing.T) {
	env := func(version, fingerprint, selfTest string) Environment {
		return Environment{
			Renderer: "manim", Version: version, Fingerprint: fingerprint, SelfTest: selfTest,
			Pictures: CIDOf([]byte(selfTest)), Headers: "h",
		}
	}
	close, far, unknown := env("0.22.0", "g", "close"), env("0.22.0", "g", "far"), env("0.22.0", "g", "unknown")
	like := func(a, b CID) error {
		switch a {
		case close.Pictures:
			return nil
		case far.Pictures:
			return errors.New("they differ")
		}
		return ErrCompare
	}
	need := env("0.22.0", "f", "s").Need()
	strict := need
	strict.Strict = true
	encoded, pictures := close, need
	encoded.Headers, pictures.Headers = "other", ""
	equal := env("0.22.0", "e", "s")
	for _, c := range []struct {
		name string
		need Need
		have []Environment
		want string // fingerprint, or a part of the error
	}{
		{"nothing", need, nil, "no manim"},
		{"another renderer", need, []Environment{{Renderer: "synthetic", Version: "0.22.0", Fingerprint: "f"}}, "no manim"},
		{"other versions", need, []Environment{env("0.21.0", "f", "s"), env("0.19.0", "f", "s"), env("0.21.0", "g", "s")},
			`manim 0.21.0 and 0.19.0 here, the job needs 0.22.0: run "meshnode setup --manim 0.22.0"`},
		{"the same", need, []Environment{env("0.21.0", "f", "s"), env("0.22.0", "f", "")}, "f"},
		{"an equal self-test", need, []Environment{equal}, "e"},
		{"the same behind like ones", need, []Environment{close, equal, env("0.22.0", "f", "s")}, "f"},
		{"an equal one behind a like one", need, []Environment{close, equal}, "e"},
		{"a like one", need, []Environment{far, close}, "g"},
		{"a like one for the strict", strict, []Environment{close}, "--strict"},
		{"an equal one for the strict", strict, []Environment{equal}, "e"},
		{"other pictures", need, []Environment{far}, "they differ"},
		{"not compared", need, []Environment{unknown}, ErrCompare.Error()},
		{"no self-test yet", need, []Environment{{Renderer: "manim", Version: "0.22.0", Fingerprint: "g"}}, "no self-test"},
		{"other headers", need, []Environment{encoded}, "would not decode together"},
		{"other headers, for pictures", pictures, []Environment{encoded}, "g"},
	} {
		a := &Advert{Environments: c.have}
		got, err := a.Environment(c.need, like)
		switch {
		case err != nil && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: error %q; want %q", c.name, err, c.want)
		case err == nil && got.Fingerprint != c.want:
			t.Errorf("%s: got %q; want %q", c.name, got.Fingerprint, c.want)
		}
		if _, err := a.Environment(c.need, nil); c.name == "a like one" && !errors.Is(err, ErrCompare) {
			t.Errorf("%s, without comparisons: %v", c.name, err)
		}
	}
}
