// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"meshnode/job"
	"meshnode/renderer"
)

// selfTest is what the fixed scene gave. It is kept in the home: it only
// changes with the environment.
type selfTest struct {
	Fingerprint string  `json:"fingerprint"`
	Hash        string  `json:"hash"`
	Speed       float64 `json:"speed"` // frames per second of one slot
}

// selfTestKinds are how the fixed scene is rendered: lossless, for the
// pictures, and by default, for the encoder.
var selfTestKinds = [][]string{{"-ql", "-t", "--format", "mov"}, {"-ql"}}

// SelfTest renders the fixed scene, unless what it gives is known.
func (r *Renderer) SelfTest(ctx context.Context) (hash string, speed float64, err error) {
	envs, err := r.Environments(ctx)
	if err != nil {
		return "", 0, err
	}
	if t := r.knownSelfTest(envs[0].Fingerprint); t != nil {
		return t.Hash, t.Speed, nil
	}
	dir, err := os.MkdirTemp(r.cfg.Scratch, "selftest-")
	if err != nil {
		return "", 0, fmt.Errorf("manim: self-test: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "selftest.py"), selfTestScene, 0o600); err != nil {
		return "", 0, fmt.Errorf("manim: self-test: %w", err)
	}
	h := sha256.New()
	t := &selfTest{Fingerprint: envs[0].Fingerprint}
	for _, kind := range selfTestKinds {
		if t.Speed, err = r.renderSelfTest(ctx, dir, kind, h); err != nil {
			return "", 0, fmt.Errorf("manim: self-test: %w", err)
		}
	}
	t.Hash = hex.EncodeToString(h.Sum(nil))
	r.mu.Lock()
	r.selfTest = t
	r.mu.Unlock()
	data, err := json.Marshal(t)
	if err == nil {
		err = os.WriteFile(r.selfTestFile(), data, 0o600)
	}
	if err != nil {
		return "", 0, fmt.Errorf("manim: self-test: %w", err)
	}
	return t.Hash, t.Speed, nil
}

// renderSelfTest writes all cells of the fixed scene to w and returns the
// frames per second.
func (r *Renderer) renderSelfTest(ctx context.Context, dir string, kind []string, w io.Writer) (float64, error) {
	e, err := r.take(ctx, renderer.Own)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	args := append([]string{"selftest.py", "SelfTest", "--seed", "0", "--disable_caching", "--media_dir", dir}, kind...)
	plan, err := e.Plan(ctx, renderer.Request{Args: args, Dir: dir, Env: os.Environ()}, nil)
	if err != nil {
		return 0, err
	}
	frames, seconds := 0.0, 0.0
	for _, c := range job.Grid(plan.Plays, plan.FPS, plan.CellFrames) {
		out, err := e.Render(ctx, c.Index)
		if err != nil {
			return 0, err
		}
		frames, seconds = frames+float64(c.Frames), seconds+out.Seconds
		for _, name := range out.Files {
			f, _, err := renderer.OpenOutput(e.Out(), name, 64<<20)
			if err != nil {
				return 0, err
			}
			_, err = io.Copy(w, f)
			f.Close()
			if err != nil {
				return 0, err
			}
		}
	}
	if seconds <= 0 {
		return 0, fmt.Errorf("no time passed over %v frames", frames)
	}
	return frames / seconds, nil
}

func (r *Renderer) selfTestFile() string {
	return filepath.Join(r.cfg.Home, "environments", "selftest.json")
}

// knownSelfTest returns what the fixed scene gave in that environment, or nil.
func (r *Renderer) knownSelfTest(fingerprint string) *selfTest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.selfTest == nil {
		t := new(selfTest)
		data, err := os.ReadFile(r.selfTestFile())
		if err != nil || json.Unmarshal(data, t) != nil {
			return nil
		}
		r.selfTest = t
	}
	if r.selfTest.Fingerprint != fingerprint {
		return nil
	}
	return r.selfTest
}
