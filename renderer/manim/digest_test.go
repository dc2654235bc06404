// SPDX-License-Identifier: MIT

package manim

import (
	"os"
	"os/exec"
	"testing"
)

// TestDigests: what the digests tell apart, and what not.
func TestDigests(t *testing.T) {
	t.Parallel()
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		t.Skip("MESHNODE_PYTHON names no Python with Manim")
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/digests.py")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
