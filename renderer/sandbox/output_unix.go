// SPDX-License-Identifier: MIT

//go:build unix

package sandbox

import (
	"os"
	"syscall"
)

const noWait = syscall.O_NONBLOCK

func oneName(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 1
}
