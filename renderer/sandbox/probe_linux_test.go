// SPDX-License-Identifier: MIT

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// python returns the Python that MESHNODE_PYTHON names, "" if none, and what it
// must read.
func python(t testing.TB) (string, Runtime) {
	t.Helper()
	name := os.Getenv("MESHNODE_PYTHON")
	if name == "" {
		return "", Runtime{}
	}
	text, err := exec.Command(name, "-I", "-c", "import sys; print(sys.prefix); print(sys.base_prefix)").Output()
	if err != nil {
		t.Fatal(err)
	}
	return name, Runtime{ReadOnly: strings.Fields(string(text)), Check: []string{name, "-I", "-c", "pass"}}
}

// reachableStage is set in the copy of the test program that probeReachable runs.
const reachableStage = "SANDBOX_TEST_REACHABLE"

// probeReachable runs the probes of Basic in a copy of this program that the
// user of root's jobs can reach: go test keeps its own to its user, as root's home
// keeps Manim. TestManim shows Manim in Basic where that user can reach it.
func probeReachable(t *testing.T) {
	reachable := scratch(t)
	copySelf(t, reachable)
	cmd := exec.CommandContext(t.Context(), reachable, "-test.run=^TestProbe$/^basic$", "-test.v")
	cmd.Env = append(os.Environ(), reachableStage+"=1", "MESHNODE_PYTHON=")
	text, err := cmd.CombinedOutput()
	t.Logf("%s", text)
	if err != nil || !strings.Contains(string(text), "--- PASS: TestProbe/basic") {
		t.Errorf("the probes in %s: %v", reachable, err)
	}
}

// copySelf writes this test program to name. No process is begun meanwhile: a child
// of a test beside this one would hold the open file, and a program that is open for
// writing cannot be run.
func copySelf(t *testing.T, name string) {
	t.Helper()
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	syscall.ForkLock.RLock()
	err = os.WriteFile(name, program, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}

func TestProbe(t *testing.T) {
	_, r := python(t)
	secret := t.TempDir()
	if err := os.WriteFile(secret+"/node.key", []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	managed := secret + "/environments/manim" // a runtime may lie in the node's home
	if err := os.MkdirAll(managed, 0o700); err != nil {
		t.Fatal(err)
	}
	r.Secret, r.ReadOnly = append(r.Secret, secret), append(r.ReadOnly, managed)
	for _, tier := range boxedTiers {
		t.Run(string(tier), func(t *testing.T) {
			if tier == Basic && os.Geteuid() == 0 && os.Getenv(reachableStage) == "" {
				probeReachable(t)
				return
			}
			trial := ProbeTier(t.Context(), tier, r, filepath.Dir(scratch(t)))
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
