// SPDX-License-Identifier: MIT

//go:build unix

package sandbox

import (
	"os"
	"syscall"
)

// killGroup ends the processes of the group that p leads and reports whether
// there were any.
func killGroup(p *os.Process) bool {
	return syscall.Kill(-p.Pid, syscall.SIGKILL) == nil
}
