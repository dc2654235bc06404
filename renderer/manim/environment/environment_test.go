// SPDX-License-Identifier: MIT

package environment

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFindNothing(t *testing.T) {
	newFake(t)
	_, err := Find(t.Context(), t.TempDir(), "")
	wantProblem(t, err, "no Manim is set up", "meshnode setup")
}

func TestProbeProblems(t *testing.T) {
	broken := func(step, text string) map[string]any {
		return with("broken", map[string]string{"step": step, "error": text})
	}
	for _, c := range []struct {
		name  string
		spoil func(*fake)
		words []string
	}{
		{"absent", func(f *fake) { f.remove("python3") }, []string{"no Python at"}},
		{"crashes", func(f *fake) { f.write("probe", "echo 'bad interpreter state' >&2; exit 1") }, []string{"does not run", "bad interpreter state"}},
		{"says nonsense", func(f *fake) { f.write("probe", "echo Python 2.7") }, []string{"does not answer"}},
		{"floods", func(f *fake) { f.write("probe", "head -c 3000000 /dev/zero") }, []string{"does not answer"}},
		{"no manim", func(f *fake) { f.probe(with("components", map[string]string{"python": "cpython 3.12"})) }, []string{"no Manim for", "user site-packages"}},
		{"no cairo", func(f *fake) {
			f.probe(broken("manim", "ImportError: libcairo.so.2: cannot open shared object file"))
		}, []string{"lacks a system library", "libcairo.so.2", "cairo"}},
		{"no package", func(f *fake) { f.probe(broken("manim", "ModuleNotFoundError: No module named 'srt'")) }, []string{"lacks a package", "pip install manim==0.22.0"}},
		{"no encoder", func(f *fake) { f.probe(broken("encoder", "UnknownCodecError: libx264")) }, []string{"cannot encode", "pip install"}},
		{"other", func(f *fake) { f.probe(broken("manim", "SyntaxError: x")) }, []string{"does not start", "SyntaxError"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			c.spoil(f)
			_, err := Find(t.Context(), t.TempDir(), f.python())
			wantProblem(t, err, c.words...)
			var p *Problem
			if !errors.As(err, &p) || p.Do == "" {
				t.Errorf("error %q does not say what to do", err)
			}
		})
	}
}

func TestProbeEnds(t *testing.T) {
	f := newFake(t)
	f.write("probe", "sleep 60 & sleep 60; wait")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Find(ctx, t.TempDir(), f.python())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v; want the deadline's", err)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %v: the programs were waited for", d)
	}
}

func TestFindKeepsWhatItFound(t *testing.T) {
	f, home, site := newFake(t), t.TempDir(), t.TempDir()
	f.probe(with("sites", []string{site}))
	find := func() Environment {
		t.Helper()
		found, err := Find(t.Context(), home, f.python())
		if err != nil {
			t.Fatal(err)
		}
		return found[0]
	}
	first := find()
	if second := find(); second.Fingerprint != first.Fingerprint || second.Origin != Given {
		t.Errorf("the second look found %+v, the first %+v", second, first)
	}
	if n := f.ran("-W ignore"); n != 1 {
		t.Errorf("%d probes; want 1", n)
	}
	if err := os.Mkdir(filepath.Join(site, "numpy-3.dist-info"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.probe(with("components", map[string]string{"manim": "0.22.0", "numpy": "3.0"}))
	if third := find(); third.Fingerprint == first.Fingerprint {
		t.Error("a new package was not seen")
	}
	if err := os.WriteFile(cacheFile(home, f.python()), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	find()
	if n := f.ran("-W ignore"); n != 3 {
		t.Errorf("%d probes; want 3", n)
	}
}

func TestPrefixes(t *testing.T) {
	f := newFake(t)
	found, err := Find(t.Context(), t.TempDir(), f.python())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/opt/base", "/opt/blas", "/opt/env", "/opt/plugins", f.dir}
	slices.Sort(want)
	if got := found[0].Prefixes; !slices.Equal(got, want) {
		t.Errorf("prefixes %q; want %q", got, want)
	}
}

func TestPrefixesFollowLinks(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"venv/bin", "link", "real/bin"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../link/python3", filepath.Join(dir, "venv/bin/python")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(filepath.Join(dir, "real/bin/python3.12"), filepath.Join(dir, "link/python3")); err != nil {
		t.Fatal(err)
	}
	r := &probeResult{Prefixes: []string{filepath.Join(dir, "venv"), filepath.Join(dir, "real")}}
	got := r.readOnly(filepath.Join(dir, "venv/bin/python"))
	want := []string{filepath.Join(dir, "link"), filepath.Join(dir, "real"), filepath.Join(dir, "venv")}
	if !slices.Equal(got, want) {
		t.Errorf("prefixes %q; want %q", got, want)
	}
}

func TestFingerprintDependsOnEachComponent(t *testing.T) {
	base := map[string]string{"a": "1", "b": "2"}
	seen := map[string]bool{fingerprint(base): true}
	for _, c := range []map[string]string{{"a": "1"}, {"a": "1", "b": "3"}, {"a": "12", "b": ""}, {"a": "1\"\n\"b\"=\"2"}, {"a": "1", "b": "2", "c": ""}} {
		if seen[fingerprint(c)] {
			t.Errorf("the fingerprint of %v is not its own", c)
		}
		seen[fingerprint(c)] = true
	}
}

func TestAdopt(t *testing.T) {
	f, home := newFake(t), t.TempDir()
	other := filepath.Join(f.dir, "other")
	script, err := os.ReadFile(f.python())
	if err != nil {
		t.Fatal(err)
	}
	f.write("other", strings.ReplaceAll(string(script), "$F/base", "$F/base2"))
	base, err := os.ReadFile(filepath.Join(f.dir, "base"))
	if err != nil {
		t.Fatal(err)
	}
	f.write("base2", strings.ReplaceAll(string(base), f.python(), other))
	f.write("launcher", "#!/bin/sh\nexec "+other+" \"$@\"\n")
	for _, p := range []string{f.python(), other, "python3", "launcher"} {
		if _, err := Adopt(t.Context(), home, p); err != nil {
			t.Fatal(err)
		}
	}
	found, err := Find(t.Context(), home, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[0].Python != other || found[1].Python != f.python() || found[0].Origin != Adopted {
		t.Errorf("found %+v; want the last adopted first", found)
	}

	f.remove("other")
	if found, err = Find(t.Context(), home, ""); err != nil || len(found) != 1 {
		t.Errorf("found %+v, %v; want the one that is left", found, err)
	}
	f.probe(with("components", map[string]string{}))
	if _, err := Adopt(t.Context(), t.TempDir(), f.python()); err == nil {
		t.Error("a Python without Manim was adopted")
	}

	if err := os.WriteFile(adoptedFile(home), []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Find(t.Context(), home, "")
	wantProblem(t, err, "adopted", "remove "+adoptedFile(home))
}
