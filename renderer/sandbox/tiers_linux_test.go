// SPDX-License-Identifier: MIT

package sandbox

import (
	"os"
	"testing"
)

var testTiers = []Tier{Own, Bwrap, Direct}

// tryJob starts this program as a test job.
func tryJob(t *testing.T, tier Tier, limits Limits, job ...string) (*Proc, error) {
	t.Helper()
	spec := Spec{Limits: limits.orDefault()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if tier == Direct {
		link := t.TempDir() + "/" + testStage
		if err := os.Symlink(self, link); err != nil {
			t.Fatal(err)
		}
		spec.Scratch = t.TempDir() + "/job"
		spec.Env = []string{"IN=" + spec.Scratch + "/in", "OUT=" + spec.Scratch + "/out"}
		spec.Argv = append([]string{link}, job...)
		return Start(t.Context(), tier, spec)
	}
	v, err := viewOf(spec.Runtime)
	if err != nil {
		t.Fatal(err)
	}
	v.mounts = append(v.mounts, mount{Source: self, Target: "/" + testStage})
	spec.Argv = append([]string{"/" + testStage}, job...)
	spec.Env = []string{"IN=/in", "OUT=/out"}
	return startIn(t.Context(), tier, spec, v)
}
