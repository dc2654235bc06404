// SPDX-License-Identifier: MIT

package manim

import (
	"testing"

	"meshnode/renderer"
)

// Jobs of two environments that alternate each find an idle engine; of a third one, it
// takes the place of that which was used longest ago.
func TestWarmOfTwoEnvironments(t *testing.T) {
	r := realRenderer(t)
	defer r.Close()
	first := firstOf(t, r)
	env, err := r.byID(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"second", "third"} { // the same by other names
		env.id = id
		r.mu.Lock()
		r.envs = append(r.envs, env)
		r.mu.Unlock()
	}
	idle := func(env string) *starting {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.idleOf(renderer.Own, env)
	}
	r.Warm(renderer.Own, first)
	r.Warm(renderer.Own, "second")
	s := idle(first)
	if s == nil || idle("second") == nil {
		t.Fatal("two environments have no idle engine each")
	}
	r.Warm(renderer.Own, first) // used again
	r.Warm(renderer.Own, "third")
	if idle(first) != s || idle("second") != nil || idle("third") == nil {
		t.Error("not the one used longest ago has made room")
	}
	e, err := r.Take(t.Context(), renderer.Own, first)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e != s.engine || idle(first) != nil {
		t.Error("the idle engine is not what is taken")
	}
}
