// SPDX-License-Identifier: MIT

package sandbox

import (
	"os"
	"testing"
)

// testRuntime is the Python that MESHNODE_PYTHON names, or none.
func testRuntime(t *testing.T) Runtime {
	t.Helper()
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		return Runtime{}
	}
	r, err := FindPython(t.Context(), []string{python, "-I"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("runtime: %q reads %q", r.Command, r.ReadOnly)
	return r
}

func TestProbe(t *testing.T) {
	r := testRuntime(t)
	secret := t.TempDir()
	if err := os.WriteFile(secret+"/node.key", []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Secret = append(r.Secret, secret)
	for _, tier := range boxedTiers {
		t.Run(string(tier), func(t *testing.T) {
			trial := ProbeTier(t.Context(), tier, r)
			for _, p := range trial.Probes {
				t.Logf("%-45s %v %s", p.Name, p.Passed, p.Detail)
			}
			t.Logf("%d probes in %v", len(trial.Probes), trial.Took)
			if !trial.Holds {
				t.Error(trial.Reason)
			}
		})
	}
}
