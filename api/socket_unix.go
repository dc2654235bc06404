// SPDX-License-Identifier: MIT

//go:build unix

package api

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

func socketFolder() string { return fmt.Sprintf("meshnode-%d", os.Getuid()) }

func private(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid() && info.Mode().Perm()&0o077 == 0
}
