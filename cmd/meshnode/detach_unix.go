// SPDX-License-Identifier: MIT

//go:build unix

package main

import "syscall"

// detached gives a started node a session of its own: Ctrl-C and the end of the
// terminal do not reach it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
