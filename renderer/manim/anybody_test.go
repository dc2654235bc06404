// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
)

// project is a copy of testdata/anybody in a folder of its own, with what its
// scenes look for elsewhere on the submitter's computer.
type project struct {
	dir string
	env []string
}

func newProject(t *testing.T) project {
	t.Helper()
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		t.Skip("MESHNODE_PYTHON names no Python with Manim")
	}
	base := t.TempDir()
	dir, elsewhere, home := filepath.Join(base, "project"), filepath.Join(base, "elsewhere"), filepath.Join(base, "home")
	err := os.CopyFS(dir, os.DirFS("testdata/anybody"))
	for _, d := range []string{elsewhere, home} {
		err = errors.Join(err, os.Mkdir(d, 0o700))
	}
	err = errors.Join(err,
		os.WriteFile(filepath.Join(home, "in-home.json"), []byte(`{"angle": 0.5}`), 0o600),
		os.WriteFile(filepath.Join(dir, "film", "elsewhere.txt"), []byte(elsewhere), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), python, filepath.Join(dir, "prepare.py"), dir, elsewhere).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "HOME=") })
	return project{dir, append(env, "HOME="+home, "MAY_MAKE=1")}
}

// plan plans a scene of the project in an own engine.
func (p project) plan(t *testing.T, r *Renderer, scene string, assets ...string) (renderer.Engine, *renderer.Plan) {
	t.Helper()
	own, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	plan, err := own.Plan(t.Context(), renderer.Request{
		Args: []string{"film/scenes.py", scene, "-ql", "--seed", "1", "--media_dir", filepath.Join(p.dir, "media")},
		Dir:  p.dir, Env: p.env, CellFrames: 4, Assets: assets,
	}, nil)
	if err != nil {
		var failed *renderer.SceneError
		if errors.As(err, &failed) {
			t.Fatal(failed.Text)
		}
		t.Fatal(err)
	}
	return own, plan
}

// elsewhere loads a plan into a sandboxed engine, which has the shipped files
// and what lend gives.
func elsewhere(t *testing.T, r *Renderer, plan *renderer.Plan, lend func(name string) ([]byte, error)) renderer.Engine {
	t.Helper()
	foreign, err := r.Take(t.Context(), renderer.Foreign, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { foreign.Close() })
	for _, f := range plan.Files {
		data, err := os.ReadFile(f.Source)
		if err == nil {
			err = foreign.In().MkdirAll(path.Dir(f.Path), 0o700)
		}
		if err == nil {
			err = foreign.In().WriteFile(f.Path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	var mu sync.Mutex
	missing := func(_ context.Context, name string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		data, err := lend(name)
		if err != nil {
			return "", err
		}
		count++
		at := fmt.Sprintf("lent-%d", count)
		return at, foreign.In().WriteFile(at, data, 0o600)
	}
	m := &job.Manifest{Spec: plan.Spec, Plays: plan.Plays, FPS: plan.FPS, CellFrames: plan.CellFrames}
	if err := foreign.Load(t.Context(), m, missing); err != nil {
		t.Fatal(err)
	}
	return foreign
}

// cellBytes renders a cell and returns its file.
func cellBytes(t *testing.T, e renderer.Engine, cell uint32) ([]byte, error) {
	out, err := e.Render(t.Context(), cell)
	if err != nil {
		return nil, err
	}
	f, _, err := renderer.OpenOutput(e.Out(), out.Files[0], 64<<20)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// TestAnybodysScenes renders scenes that read files in many ways in a sandbox,
// which sees nothing of the submitter's computer, and compares every byte.
func TestAnybodysScenes(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	r := realRenderer(t)
	defer r.Close()
	if _, err := r.Sandbox(t.Context()); err != nil {
		t.Skip(err)
	}
	for _, test := range []struct {
		scene  string
		assets []string
		late   []string // files that must be asked for, and no others
		needs  string   // a program without which the scene cannot be planned
	}{
		{scene: "Modules"},
		{scene: "DataFiles"},
		{scene: "Listings"},
		{scene: "Pictures"},
		{scene: "Outside"},
		{scene: "Caches"},
		{scene: "Fonts"},
		{scene: "Templates", needs: "latex"},
		{scene: "Late", late: []string{"pictures/drawn.png"}},
		{scene: "LateModule", late: []string{"film/drawn_late.py"}},
		{scene: "InC", assets: []string{"pictures/d*.png"}},
		{scene: "Late", assets: []string{"pictures"}},
	} {
		t.Run(test.scene+strings.Join(test.assets, ","), func(t *testing.T) {
			if test.needs != "" {
				if _, err := exec.LookPath(test.needs); err != nil {
					t.Skip(err)
				}
			}
			own, plan := p.plan(t, r, test.scene, test.assets...)
			var asked []string
			foreign := elsewhere(t, r, plan, func(name string) ([]byte, error) {
				asked = append(asked, name)
				if !slices.Contains(plan.Lendable, name) {
					return nil, errors.New("not to be lent")
				}
				return os.ReadFile(filepath.Join(plan.Root, name))
			})
			cells := job.Grid(plan.Plays, plan.FPS, plan.CellFrames)
			got, errs := make([][]byte, len(cells)), make([]error, len(cells))
			var drawn sync.WaitGroup // at once: several walkers may lack the same file
			for i, c := range cells {
				drawn.Go(func() { got[i], errs[i] = cellBytes(t, foreign, c.Index) })
			}
			drawn.Wait()
			for i, c := range cells {
				want, err := cellBytes(t, own, c.Index)
				if err != nil {
					t.Fatal(err)
				}
				if errs[i] != nil {
					var failed *renderer.SceneError
					if errors.As(errs[i], &failed) {
						t.Fatal(failed.Text)
					}
					t.Fatal(errs[i])
				}
				if !bytes.Equal(got[i], want) {
					t.Errorf("cell %d differs", c.Index)
				}
			}
			if !slices.Equal(asked, test.late) {
				t.Errorf("asked for %q, want %q", asked, test.late)
			}
		})
	}
}

// TestFilesNotToBeHad: a file that cannot be brought fails the cell with the
// reason, and one that is hidden is not even asked for.
func TestFilesNotToBeHad(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	r := realRenderer(t)
	defer r.Close()
	if _, err := r.Sandbox(t.Context()); err != nil {
		t.Skip(err)
	}
	for scene, want := range map[string]string{
		"Late":   "pictures/drawn.png was not read when the scene was planned, and cannot be had now: the submitter is gone",
		"Hidden": "it was not shared with this node: give --asset",
		"InC":    "it was not shared with this node: give --asset",
	} {
		t.Run(scene, func(t *testing.T) {
			_, plan := p.plan(t, r, scene)
			if !slices.Contains(plan.Lendable, "film/scenes.py") || slices.ContainsFunc(plan.Lendable, func(name string) bool { return strings.Contains("/"+name, "/.") }) {
				t.Errorf("to be lent: %q", plan.Lendable)
			}
			asked := 0
			foreign := elsewhere(t, r, plan, func(string) ([]byte, error) {
				asked++
				return nil, errors.New("the submitter is gone")
			})
			_, err := cellBytes(t, foreign, 0)
			text := fmt.Sprint(err)
			var failed *renderer.SceneError
			if errors.As(err, &failed) {
				text = failed.Text
			}
			if !strings.Contains(text, want) || (asked > 0) != (scene == "Late") {
				t.Errorf("after %d requests: %s", asked, text)
			}
		})
	}
}

// TestAssetWithoutAFile: a mistake in --asset is told before anything is shared.
func TestAssetWithoutAFile(t *testing.T) {
	p := newProject(t)
	r := realRenderer(t)
	defer r.Close()
	own, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	_, err = own.Plan(t.Context(), renderer.Request{
		Args: []string{"film/scenes.py", "Late", "-ql", "--media_dir", filepath.Join(p.dir, "media")}, Dir: p.dir, Env: p.env, Assets: []string{"no/*.csv"},
	}, nil)
	var usage *renderer.UsageError
	if !errors.As(err, &usage) || usage.Text != "--asset no/*.csv: there is no such file" {
		t.Errorf("ended with %v", err)
	}
}
