// SPDX-License-Identifier: MIT

//go:build unix && !linux

package sandbox

import "syscall"

func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
