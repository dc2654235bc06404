// SPDX-License-Identifier: MIT

package environment

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// realPython returns an interpreter with Manim: $MESHNODE_PYTHON, or one
// on PATH.
func realPython(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("MESHNODE_PYTHON"); p != "" {
		return p
	}
	if p := onPath(t.Context(), t.TempDir()); p != "" {
		return p
	}
	t.Skip("no Python with Manim: set MESHNODE_PYTHON")
	return ""
}

func TestRealEnvironment(t *testing.T) {
	python, home := realPython(t), t.TempDir()
	first, err := Find(t.Context(), home, python)
	if err != nil {
		t.Fatal(err)
	}
	e := first[0]
	for _, name := range []string{"python", "platform", "manim", "numpy", "scipy", "av", "pillow", "pycairo", "cairo", "manimpango",
		"pango", "skia-pathops", "mapbox-earcut", "isosurfaces", "svgelements", "libavcodec", "libswscale", "x264", "numpy cpu"} {
		if e.Components[name] == "" {
			t.Errorf("component %q is not known", name)
		}
	}
	for _, p := range e.Prefixes {
		if !filepath.IsAbs(p) {
			t.Errorf("prefix %q is not absolute", p)
		}
		if p == string(filepath.Separator) {
			t.Errorf("the whole file system is a prefix: %q", e.Prefixes)
		}
	}
	real, err := filepath.EvalSymlinks(e.Python)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(e.Prefixes, func(p string) bool { return within(real, p) }) {
		t.Errorf("prefixes %q lack the interpreter %s", e.Prefixes, real)
	}

	// What the user has set must not decide: a fresh probe finds the same.
	t.Setenv("PYTHONHASHSEED", "7")
	t.Setenv("NPY_DISABLE_CPU_FEATURES", "AVX2 FMA3")
	t.Setenv("OPENBLAS_CORETYPE", "Nehalem")
	t.Setenv("DISPLAY", ":7")
	again, err := Find(t.Context(), t.TempDir(), python)
	if err != nil {
		t.Fatal(err)
	}
	if again[0].Fingerprint != e.Fingerprint {
		t.Errorf("fingerprints differ:\n%v\n%v", e.Components, again[0].Components)
	}
}

// TestRealSetup installs each Manim from the package index: minutes, and 400 MB. It
// runs only where MESHNODE_TEST_SETUP names a home to do it in.
func TestRealSetup(t *testing.T) {
	home := os.Getenv("MESHNODE_TEST_SETUP")
	if home == "" {
		t.Skip("MESHNODE_TEST_SETUP is not set")
	}
	for _, version := range Supported() {
		e, err := Setup(t.Context(), home, version, func(line string) { t.Log(line) })
		if err != nil {
			t.Fatal(err)
		}
		if e.Manim != version || !e.Images {
			t.Errorf("set up Manim %s, images work: %v", e.Manim, e.Images)
		}
		script, err := os.ReadFile(filepath.Join(filepath.Dir(e.Python), "manim"))
		if err != nil || !slices.Contains([]string{"#!" + e.Python, "#!" + e.Python + "3"}, firstLine(script)) {
			t.Errorf("the manim command starts %q: %v", firstLine(script), err)
		}
	}
}
