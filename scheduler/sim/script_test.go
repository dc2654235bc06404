// SPDX-License-Identifier: MIT

package sim_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"meshnode/scheduler/sim"
)

// TestSame runs scripts twice, from their text the second time: everything happens
// alike.
func TestSame(t *testing.T) {
	for seed := uint64(1); seed <= 4; seed++ {
		script := sim.Random(seed)
		again, err := sim.ParseScript(strings.NewReader(script.String()))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if script.String() != again.String() {
			t.Errorf("seed %d: the text is another script:\n%s\n%s", seed, script, again)
		}
		one, two := sim.New(script), sim.New(again)
		if err, err2 := one.Run(), two.Run(); err != nil || err2 != nil {
			t.Errorf("seed %d: %v, %v", seed, err, err2)
		}
		if one.Digest() != two.Digest() {
			t.Errorf("seed %d: two runs of one script differ", seed)
		}
	}
}

func TestScriptErrors(t *testing.T) {
	for text, want := range map[string]string{
		"node one":             "line 1",
		"\nnode 1 slits=2":     "line 2",
		"net delay=1..2":       "missing unit",
		"at 3s":                "missing",
		"at 3s explode":        "no such fault",
		"at 3s kill 1":         "no node 1",
		"node 1\nat 1s kill":   "its form is",
		"node 1\nat 1s heal 1": "more than its form",
		"job 0 by=4":           "not there",
		"walk 3":               "not known",
	} {
		if _, err := sim.ParseScript(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestShrink makes a script smaller that fails as long as it has one fault: nothing
// else is left.
func TestShrink(t *testing.T) {
	isIt := func(f sim.Fault) bool { return f.Verb == "kill" }
	seed := uint64(1)
	for !slices.ContainsFunc(sim.Random(seed).Faults, isIt) || len(sim.Random(seed).Faults) < 5 {
		seed++
	}
	least := sim.Shrink(sim.Random(seed), func(s *sim.Script) bool { return slices.ContainsFunc(s.Faults, isIt) }, 1000)
	if len(least.Faults) != 1 || !isIt(least.Faults[0]) || len(least.Jobs) != 1 || len(least.Jobs[0].Plays) != 1 || len(least.Nodes) > 2 {
		t.Errorf("left:\n%s", least)
	}
}

// TestScripts runs the scripts in testdata: meshes in which a mistake was found.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script, err := sim.ParseScript(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := sim.New(script).Run(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
