// SPDX-License-Identifier: MIT

package sandbox

import (
	"os"
	"syscall"
)

// killGroup ends p alone and reports false: its children end with their input.
func killGroup(p *os.Process) bool {
	p.Kill()
	return false
}

func groupAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
