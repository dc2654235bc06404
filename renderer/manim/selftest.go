// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"meshnode/job"
	"meshnode/renderer"
)

// selfTest is that of one environment.
type selfTest struct {
	running sync.Mutex // held while the scene is rendered

	// Guarded by the renderer's mu.
	result   *renderer.SelfTest // nil: not known
	pictures job.CID            // of its pictures
}

// How the fixed scene is rendered: as it is drawn, and as it is encoded if the
// user says nothing.
var (
	asPictures = []string{"-ql", "-t", "--format", "png-sequence"}
	asFilm     = []string{"-ql"}
)

// SelfTest renders the fixed scene, unless what it gives is known. The result is
// kept in the home: it only changes with the environment.
func (r *Renderer) SelfTest(ctx context.Context, env string) (*renderer.SelfTest, error) {
	test := r.testOf(env)
	test.running.Lock()
	defer test.running.Unlock()
	if t := r.knownSelfTest(env); t != nil {
		return t, nil
	}
	t, err := r.runSelfTest(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("manim: self-test: %w", err)
	}
	data, err := json.Marshal(t)
	if err == nil {
		err = os.WriteFile(r.selfTestFile(env), data, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("manim: self-test: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	test.keep(t)
	return t, nil
}

func (r *Renderer) runSelfTest(ctx context.Context, env string) (*renderer.SelfTest, error) {
	dir, err := os.MkdirTemp(r.cfg.Scratch, "selftest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "selftest.py"), selfTestScene, 0o600); err != nil {
		return nil, err
	}
	h, pictures := sha256.New(), new(bytes.Buffer)
	if _, err := r.renderSelfTest(ctx, env, dir, asPictures, io.MultiWriter(h, pictures)); err != nil {
		return nil, err
	}
	t, err := r.renderSelfTest(ctx, env, dir, asFilm, h)
	if err != nil {
		return nil, err
	}
	if pictures.Len() > job.MaxBlock {
		return nil, fmt.Errorf("%d bytes of pictures, at most %d allowed", pictures.Len(), job.MaxBlock)
	}
	t.Hash, t.Pictures = hex.EncodeToString(h.Sum(nil)), pictures.Bytes()
	return t, nil
}

// renderSelfTest writes all cells of the fixed scene to w, and returns its speed
// and its headers.
func (r *Renderer) renderSelfTest(ctx context.Context, env, dir string, kind []string, w io.Writer) (*renderer.SelfTest, error) {
	e, err := r.take(ctx, renderer.Own, env)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	args := append([]string{"selftest.py", "SelfTest", "--seed", "0", "--disable_caching", "--media_dir", dir}, kind...)
	plan, err := e.Plan(ctx, renderer.Request{Args: args, Dir: dir, Env: os.Environ()}, nil)
	if err != nil {
		return nil, err
	}
	frames, seconds := 0.0, 0.0
	for _, c := range job.Grid(plan.Plays, plan.FPS, plan.CellFrames) {
		out, err := e.Render(ctx, c.Index)
		if err != nil {
			return nil, err
		}
		frames, seconds = frames+float64(c.Frames), seconds+out.Seconds
		for _, name := range out.Files {
			f, _, err := renderer.OpenOutput(e.Out(), name, 64<<20)
			if err != nil {
				return nil, err
			}
			_, err = io.Copy(w, f)
			f.Close()
			if err != nil {
				return nil, err
			}
		}
	}
	if seconds <= 0 {
		return nil, fmt.Errorf("no time passed over %v frames", frames)
	}
	return &renderer.SelfTest{Speed: frames / seconds, Headers: e.headers}, nil
}

func (r *Renderer) selfTestFile(env string) string {
	return filepath.Join(r.cfg.Home, "environments", fmt.Sprintf("selftest-%.16s.json", env))
}

func (t *selfTest) keep(result *renderer.SelfTest) {
	t.result, t.pictures = result, job.CIDOf(result.Pictures)
}

func (r *Renderer) testOf(env string) *selfTest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tests[env] == nil {
		r.tests[env] = new(selfTest)
	}
	return r.tests[env]
}

// knownSelfTest returns what the fixed scene gave in an environment, or nil.
func (r *Renderer) knownSelfTest(env string) *renderer.SelfTest {
	test := r.testOf(env)
	r.mu.Lock()
	defer r.mu.Unlock()
	if test.result == nil {
		t := new(renderer.SelfTest)
		data, err := os.ReadFile(r.selfTestFile(env))
		if err != nil || json.Unmarshal(data, t) != nil {
			return nil
		}
		test.keep(t)
	}
	return test.result
}
