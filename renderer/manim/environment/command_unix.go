// SPDX-License-Identifier: MIT

//go:build unix

package environment

import (
	"os/exec"
	"syscall"
)

// ownGroup lets killGroup reach the compilers that pip starts.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
