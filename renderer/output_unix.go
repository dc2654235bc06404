// SPDX-License-Identifier: MIT

//go:build unix

package renderer

import (
	"os"
	"syscall"
)

// Without O_NONBLOCK, opening a pipe that the engine made would wait for ever.
const openNonblock = syscall.O_NONBLOCK

func links(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}
