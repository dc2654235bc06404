// SPDX-License-Identifier: MIT

package environment

import "os/exec"

// ownGroup does nothing: on Windows all packages come built, so pip starts no
// compiler.
func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
