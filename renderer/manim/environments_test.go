// SPDX-License-Identifier: MIT

package manim

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"meshnode/renderer"
	"meshnode/renderer/manim/environment"
)

func TestChoose(t *testing.T) {
	r := realRenderer(t)
	defer r.Close()
	first, err := r.Choose(t.Context(), renderer.Wish{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []renderer.Wish{{Version: first.Version}, {Program: r.cfg.Python}} {
		if got, err := r.Choose(t.Context(), want); err != nil || got.Fingerprint != first.Fingerprint {
			t.Errorf("%+v gives %+v, %v; want %+v", want, got, err, first)
		}
	}
	var usage *renderer.UsageError
	if _, err := r.Choose(t.Context(), renderer.Wish{Version: "0.18.1"}); !errors.As(err, &usage) || !strings.Contains(err.Error(), "0.22.0") {
		t.Errorf("a version that is not supported: %v", err)
	}
	absent := environment.Supported()[0]
	if absent == first.Version {
		absent = environment.Supported()[1]
	}
	if _, err := r.Choose(t.Context(), renderer.Wish{Version: absent}); err == nil || !strings.Contains(err.Error(), `run "meshnode setup --manim `+absent+`"`) {
		t.Errorf("a version that is not set up: %v", err)
	}
	if _, err := r.Choose(t.Context(), renderer.Wish{Program: filepath.Join(t.TempDir(), "python")}); err == nil {
		t.Error("a Python that does not exist was chosen")
	}
}

// TestTwoEnvironments: a renderer has the Pythons that were adopted beside its
// first, also those adopted a moment ago, and plans with the one that is asked
// for.
func TestTwoEnvironments(t *testing.T) {
	python, older := os.Getenv("MESHNODE_PYTHON"), os.Getenv("MESHNODE_PYTHON_OLDER")
	if python == "" || older == "" || python == older {
		t.Skip("MESHNODE_PYTHON and MESHNODE_PYTHON_OLDER name no two Pythons with Manim")
	}
	home := t.TempDir()
	r := New(Config{Home: home, Scratch: t.TempDir(), Python: python, Slots: 1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	defer r.Close()
	if envs, err := r.Environments(t.Context()); err != nil || len(envs) != 1 {
		t.Fatalf("at first there are %+v, %v", envs, err)
	}
	adopted, err := environment.Adopt(t.Context(), home, older)
	if err != nil {
		t.Fatal(err)
	}
	r.Warm(renderer.Own, firstOf(t, r)) // not to be given for the other
	env, err := r.Choose(t.Context(), renderer.Wish{Version: adopted.Manim})
	if err != nil {
		t.Fatal(err)
	}
	if envs, err := r.Environments(t.Context()); err != nil || len(envs) != 2 || !reflect.DeepEqual(envs[1], env) {
		t.Errorf("then there are %+v, %v", envs, err)
	}
	e, err := r.Take(t.Context(), renderer.Own, env.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	dir := t.TempDir()
	writeScenes(t, dir)
	args := []string{"scenes.py", "Moves", "-ql", "--seed", "1", "--media_dir", dir}
	plan, err := e.Plan(t.Context(), renderer.Request{Args: args, Dir: dir, Env: os.Environ()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Need.Fingerprint != env.Fingerprint || plan.Need.Version != adopted.Manim {
		t.Errorf("the plan needs %+v; want %+v", plan.Need, env.Need())
	}
}

// TestHeadersOfAnotherEncoder: a worker whose encoder writes other headers than
// the plan's ends at its first frame; where cells have none, nothing is needed.
func TestHeadersOfAnotherEncoder(t *testing.T) {
	r := realRenderer(t)
	defer r.Close()
	if _, err := r.Sandbox(t.Context()); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	writeScenes(t, dir)
	for _, c := range []struct {
		flags   []string
		headers bool
	}{{nil, true}, {[]string{"-t", "--format", "webm"}, false}} {
		own, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		args := append([]string{"scenes.py", "Moves", "-ql", "--seed", "1", "--media_dir", filepath.Join(dir, "media")}, c.flags...)
		plan, err := own.Plan(t.Context(), renderer.Request{Args: args, Dir: dir, Env: os.Environ()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		found := own.(*engine).headers
		if found == "" == c.headers {
			t.Fatalf("%v: the headers are %q", c.flags, found)
		}
		if !c.headers {
			continue
		}
		plan.Spec = []byte(strings.ReplaceAll(string(plan.Spec), found, "another"))
		if _, err := elsewhere(t, r, plan, nil).Render(t.Context(), 0); !errors.Is(err, renderer.ErrUnfit) {
			t.Errorf("a cell with other headers: %v", err)
		}
	}
}
