// SPDX-License-Identifier: MIT

package main

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// detached keeps Ctrl-C and the end of the console from a started node.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}
