// SPDX-License-Identifier: MIT

package manim

import (
	"path/filepath"
	"strings"
	"testing"

	"meshnode/renderer/sandbox"
)

// boxing returns a renderer with a sandbox, and an environment of it.
func boxing(t *testing.T) (*Renderer, installed) {
	t.Helper()
	r := realRenderer(t)
	env, err := r.first()
	if err != nil {
		t.Fatal(err)
	}
	if tier := r.probe(env); tier.err != nil {
		t.Skip(tier.err)
	}
	return r, env
}

// Where jobs could read the code of a private mesh, none of them runs.
func TestSecretFile(t *testing.T) {
	_, env := boxing(t)
	for dir, shown := range map[string]bool{"/usr/share": true, env.Prefixes[0]: true, t.TempDir(): false} {
		r := realRenderer(t)
		r.tier = onceValue[tier]{}
		r.cfg.Secret = filepath.Join(dir, "code-of-the-mesh")
		tier := r.probe(env)
		if shown != (tier.name == sandbox.None) || shown && !strings.Contains(tier.err.Error(), r.cfg.Secret) {
			t.Errorf("with the code in %s: tier %s, %v", dir, tier.name, tier.err)
		}
	}
}

// A tier in which the interpreter does not start does not hold.
func TestInterpreterMustStart(t *testing.T) {
	r, env := boxing(t)
	r.tier = onceValue[tier]{}
	env.Python = "/bin/false"
	if tier := r.probe(env); tier.name != sandbox.None {
		t.Errorf("tier %s holds", tier.name)
	}
}
