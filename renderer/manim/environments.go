// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/manim/environment"
)

// installed is an environment of this machine.
type installed struct {
	environment.Environment
	id string // fingerprint of what the environment is made of, and of the engine itself
}

func withEngine(env environment.Environment) installed {
	sum := sha256.Sum256([]byte(env.Fingerprint + "\n" + engineDigest))
	return installed{env, hex.EncodeToString(sum[:])}
}

// found is what the first look at the machine gave.
type found struct {
	entry string // the engine's first file
	err   error
}

// look finds the environments and unpacks the engine, once.
func (r *Renderer) look() found {
	return r.found.get(func() (f found) {
		if _, f.err = r.find(r.ctx, r.cfg.Python); f.err == nil {
			f.entry, f.err = unpack(filepath.Join(r.cfg.Home, "environments"))
		}
		return f
	})
}

// find looks for what is installed now, that of python first if one is named, and
// adds it to what is known.
func (r *Renderer) find(ctx context.Context, python string) ([]installed, error) {
	envs, err := environment.Find(ctx, r.cfg.Home, python)
	if err != nil {
		return nil, err
	}
	all := make([]installed, len(envs))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, e := range envs {
		all[i] = withEngine(e)
		if !slices.ContainsFunc(r.envs, func(known installed) bool { return known.id == all[i].id }) {
			r.envs = append(r.envs, all[i])
		}
	}
	return all, nil
}

// known returns the environments found so far, the one for own jobs first.
func (r *Renderer) known() ([]installed, error) {
	if err := r.look().err; err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.envs), nil
}

func (r *Renderer) first() (installed, error) {
	envs, err := r.known()
	if err != nil {
		return installed{}, err
	}
	return envs[0], nil
}

func (r *Renderer) byID(id string) (installed, error) {
	envs, err := r.known()
	if err != nil {
		return installed{}, err
	}
	i := slices.IndexFunc(envs, func(e installed) bool { return e.id == id })
	if i < 0 {
		return installed{}, fmt.Errorf("manim: no environment here has the fingerprint %.12s", id)
	}
	return envs[i], nil
}

// Environments returns what is installed.
func (r *Renderer) Environments(context.Context) ([]job.Environment, error) {
	envs, err := r.known()
	if err != nil {
		return nil, err
	}
	out := make([]job.Environment, len(envs))
	for i, e := range envs {
		out[i] = r.describe(e)
	}
	return out, nil
}

func (r *Renderer) describe(env installed) job.Environment {
	e := job.Environment{Renderer: r.Name(), Version: env.Manim, Fingerprint: env.id, Packages: packagesOf(env.Environment)}
	if t := r.knownSelfTest(env.id); t != nil {
		e.SelfTest, e.Headers, e.Pictures = t.Hash, t.Headers, r.testOf(env.id).pictures
	}
	return e
}

// Choose returns the environment of a Python, or the first with a version of
// Manim. What was set up a moment ago is found too.
func (r *Renderer) Choose(ctx context.Context, want renderer.Wish) (job.Environment, error) {
	envs, err := r.known()
	if err != nil {
		return job.Environment{}, err
	}
	if want.Program != "" {
		if envs, err = r.find(ctx, want.Program); err != nil {
			return job.Environment{}, err
		}
		return r.describe(envs[0]), nil
	}
	if want.Version == "" {
		return r.describe(envs[0]), nil
	}
	has := func(e installed) bool { return e.Manim == want.Version }
	if !slices.ContainsFunc(envs, has) {
		if envs, err = r.find(ctx, r.cfg.Python); err != nil {
			return job.Environment{}, err
		}
	}
	if i := slices.IndexFunc(envs, has); i >= 0 {
		return r.describe(envs[i]), nil
	}
	if err := environment.CheckVersion(want.Version); err != nil {
		return job.Environment{}, &renderer.UsageError{Text: err.Error()}
	}
	return job.Environment{}, fmt.Errorf("manim: Manim %s is not set up here: run \"meshnode setup --manim %[1]s\"", want.Version)
}
