// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"meshnode/job"
	"meshnode/renderer"
)

// planning is a Plan that is under way.
type planning struct {
	onPlay   func(renderer.PlanProgress)
	onRead   func([]string)
	alone    bool // the walk draws
	plan     renderer.Plan
	packages []string // that the scene imports
	frames   uint32
	done     chan error // one value
}

// manifestSpec is the renderer's own part of a manifest.
type manifestSpec struct {
	HashSeed string `json:"hash_seed"`
	Engine   string `json:"engine"` // as the engine made it
}

// Plan implements renderer.Engine.
func (e *engine) Plan(ctx context.Context, req renderer.Request, onPlay func(renderer.PlanProgress)) (*renderer.Plan, error) {
	if len(req.Args) == 0 {
		return nil, &renderer.UsageError{Text: "no scene file: give the path of a Python file"}
	}
	chosen := struct {
		Seed *uint64         `json:"seed"`
		Asks json.RawMessage `json:"asks"`
	}{Seed: req.Seed}
	if req.Chosen != nil {
		var own manifestSpec
		err := json.Unmarshal(req.Chosen, &own)
		if err == nil {
			err = json.Unmarshal([]byte(own.Engine), &chosen)
		}
		if err != nil {
			return nil, fmt.Errorf("manim: spec: %w", err)
		}
		req.Env = append(slices.Clone(req.Env), "PYTHONHASHSEED="+own.HashSeed)
	}
	if err := e.begin(ctx, hashSeedOf(req.Env)); err != nil {
		return nil, err
	}
	e.console.to.Store(&req.Console)
	env := make(map[string]string, len(req.Env))
	for _, kv := range req.Env {
		if k, v, ok := strings.Cut(kv, "="); ok && k != "" {
			env[k] = v
		}
	}
	if req.Fresh {
		req.Args = append([]string{"--disable_caching"}, req.Args...)
	}
	p := &planning{onPlay: onPlay, onRead: req.Read, alone: req.Alone, done: make(chan error, 1)}
	e.mu.Lock()
	h := e.hub
	e.planning = p
	e.mu.Unlock()
	again, err := e.writeEarlier(h, req.Again)
	if err != nil {
		return nil, err
	}
	order := map[string]any{
		"t": "plan", "again": again, "args": req.Args, "cwd": req.Dir, "env": env, "out": h.proc.Dirs().Out,
		"cell_frames": req.CellFrames, "slots": e.r.cfg.Slots, "ahead": req.Ahead, "assets": req.Assets,
		"scene": req.Scene, "input": req.Input, "alone": req.Alone, "watched": req.Read != nil,
		"seed": chosen.Seed, "asks": chosen.Asks,
	}
	if req.Keys != nil {
		order["salt"] = req.Keys.Salt + " " + e.env.id
		if order["known"], err = writeKnown(h, req.Keys.Known); err != nil {
			return nil, err
		}
	}
	if err := h.send(order); err != nil {
		return nil, err
	}
	select {
	case err := <-p.done:
		if err != nil {
			return nil, err
		}
	case <-h.done:
		return nil, h.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	in := e.r.describe(e.env)
	p.plan.Need = in.Need()
	if e.headers == "" {
		p.plan.Need.Headers = "" // whoever draws the same writes parts that fit
	}
	p.plan.Need.Packages = slices.DeleteFunc(p.packages, func(name string) bool { return !slices.Contains(in.Packages, name) })
	return &p.plan, nil
}

// writeEarlier writes what an earlier plan was, for the leader to follow, and
// returns where, "" without one.
func (e *engine) writeEarlier(h *hub, p *renderer.Earlier) (string, error) {
	if p == nil {
		return "", nil
	}
	const told, digests = "again.json", "again-digests"
	var own manifestSpec
	if err := json.Unmarshal(p.Spec, &own); err != nil {
		return "", fmt.Errorf("manim: spec: %w", err)
	}
	sums, err := p.File(digestsFile)
	if err != nil {
		return "", fmt.Errorf("manim: the earlier plan: %w", err)
	}
	out := h.proc.Dirs().Out
	text, err := json.Marshal(map[string]any{
		"spec": json.RawMessage(own.Engine), "plays": pairsOf(p.Plays), "digests": filepath.Join(out, digests),
	})
	if err == nil {
		err = h.proc.Out().WriteFile(told, text, 0o600)
	}
	if err == nil {
		err = h.proc.Out().WriteFile(digests, sums, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("manim: the earlier plan: %w", err)
	}
	return filepath.Join(out, told), nil
}

// writeKnown writes keys for the hub to read, one a line, and returns where, "" if
// there are none.
func writeKnown(h *hub, keys []job.Key) (string, error) {
	const name = "known-keys"
	if len(keys) == 0 {
		return "", nil
	}
	var text strings.Builder
	for _, k := range keys {
		text.WriteString(k.String() + "\n")
	}
	if err := h.proc.Out().WriteFile(name, []byte(text.String()), 0o600); err != nil {
		return "", fmt.Errorf("manim: known keys: %w", err)
	}
	return filepath.Join(h.proc.Dirs().Out, name), nil
}

// digestsFile is the asset with what other walks are compared with.
const digestsFile = "digests"

// pairsOf words plays for the engine.
func pairsOf(plays []job.Play) [][2]any {
	pairs := make([][2]any, len(plays))
	for i, p := range plays {
		pairs[i] = [2]any{p.Frames, p.Frozen}
	}
	return pairs
}

// hashSeedOf returns the PYTHONHASHSEED under which stock Manim would run; for
// "random", or none, the one that every node can have.
func hashSeedOf(env []string) string {
	seed := defaultHashSeed
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PYTHONHASHSEED="); ok {
			if v != "" && strings.Trim(v, "0123456789") == "" {
				seed = v
			}
		}
	}
	return seed
}

// begin makes the engine one with that hash seed, and marks it as used.
func (e *engine) begin(ctx context.Context, hashSeed string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.job || e.closed {
		return fmt.Errorf("%w: it serves one job only", renderer.ErrEnded)
	}
	e.job = true
	if hashSeed == e.hashSeed {
		return nil
	}
	// Python reads the seed when it starts: take another process.
	old := e.hub
	e.hashSeed = hashSeed
	h, err := e.startHub(ctx)
	if err != nil {
		return err
	}
	if err := copyRoot(h.proc.In(), old.proc.In()); err != nil {
		h.proc.Close()
		return fmt.Errorf("manim: inputs: %w", err)
	}
	e.hub = h
	return old.proc.Close()
}

// copyRoot copies the files of one folder into another.
func copyRoot(to, from *os.Root) error {
	return fs.WalkDir(from.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			return to.MkdirAll(name, 0o700)
		}
		return copyFile(to, from, name)
	})
}

func copyFile(to, from *os.Root, name string) error {
	source, err := from.Open(name)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
