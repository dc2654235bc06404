// SPDX-License-Identifier: MIT

package environment

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
)

// check returns the check of that name.
func check(t *testing.T, checks []Check, name string) Check {
	t.Helper()
	i := slices.IndexFunc(checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %q in %+v", name, checks)
	}
	return checks[i]
}

func TestDoctor(t *testing.T) {
	own := Sandbox{Tier: "own"}
	for _, c := range []struct {
		name   string
		spoil  func(*fake, string)
		check  string
		status Status
		words  string
	}{
		{"all well", nil, "manim", OK, "Manim 0.22.0"},
		{"encoder", nil, "encoder", OK, "no ffmpeg needed"},
		{"sandbox", nil, "sandbox", OK, "own"},
		{"what jobs read", nil, "readable", OK, "can read all in /"},
		{"pillow 13", func(f *fake, _ string) { f.probe(with("images", false)) }, "images", Warn, "pip install 'pillow<13'"},
		{"no fonts", func(f *fake, _ string) { f.probe(with("fonts", 0)) }, "fonts", Warn, "DejaVu"},
		{"strange manim", func(f *fake, _ string) { f.probe(with("components", map[string]string{"manim": "1.0.0"})) }, "manim", Warn, "0.19 to 0.22"},
		{"broken", func(f *fake, _ string) { f.write("probe", "exit 1") }, "manim", Fail, "does not run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, home := newFake(t), t.TempDir()
			if c.spoil != nil {
				c.spoil(f, home)
			}
			got := check(t, Doctor(t.Context(), home, f.python(), own), c.check)
			if got.Status != c.status || !strings.Contains(got.Found+"\n"+got.Do, c.words) {
				t.Errorf("got %+v; want %s with %q", got, c.status, c.words)
			}
			if got.Status != OK && got.Do == "" {
				t.Errorf("%+v does not say what to do", got)
			}
		})
	}
}

func TestDoctorOffersWhatIsThere(t *testing.T) {
	f, home := newFake(t), t.TempDir()
	if got := check(t, Doctor(t.Context(), home, "", Sandbox{}), "python"); !strings.Contains(got.Do, "meshnode setup --python "+f.python()) {
		t.Errorf("a Manim on PATH is not offered: %+v", got)
	}
	if found, err := Find(t.Context(), home, ""); err == nil {
		t.Errorf("a Manim on PATH is used unasked: %+v", found)
	}
	f.probe(with("components", map[string]string{}))
	home = t.TempDir()
	checks := Doctor(t.Context(), home, "", Sandbox{})
	if got := check(t, checks, "manim"); got.Status != Fail || !strings.Contains(got.Do, "meshnode setup") {
		t.Errorf("no Manim: %+v", got)
	}
	if got := check(t, checks, "python"); got.Status != OK || !strings.Contains(got.Found, "3.12") {
		t.Errorf("a Python to begin with: %+v", got)
	}
	f.base(12, `"venv": false, "headers": true`)
	if got := check(t, Doctor(t.Context(), home, "", Sandbox{}), "python"); got.Status != Fail || !strings.Contains(got.Found, "venv") {
		t.Errorf("a Python without venv: %+v", got)
	}
}

func TestSandboxCheck(t *testing.T) {
	if c := sandboxCheck(Sandbox{Tier: "none", Reason: "user namespaces are off"}); c.Status != Warn || !strings.Contains(c.Found, "user namespaces are off") {
		t.Errorf("got %+v", c)
	}
	if c := sandboxCheck(Sandbox{Tier: "bwrap", Reason: "own is refused"}); c.Status != OK {
		t.Errorf("got %+v", c)
	}
}

func TestNetworkCheck(t *testing.T) {
	const up = net.FlagUp | net.FlagRunning | net.FlagMulticast
	lo := net.Interface{Name: "lo", Flags: up | net.FlagLoopback}
	if c := networkCheck([]net.Interface{lo, {Name: "tun0", Flags: net.FlagUp | net.FlagRunning}}, nil); c.Status != Warn || !strings.Contains(c.Do, "--peer") {
		t.Errorf("got %+v", c)
	}
	if c := networkCheck([]net.Interface{lo, {Name: "eth0", Flags: up}}, nil); c.Status != OK || !strings.Contains(c.Found, "eth0") {
		t.Errorf("got %+v", c)
	}
	if c := networkCheck(nil, errors.New("no permission")); c.Status != Warn {
		t.Errorf("got %+v", c)
	}
}
