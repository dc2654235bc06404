// SPDX-License-Identifier: MIT

//go:build unix && !linux

package environment

import (
	"os"
	"syscall"
)

// flush hands a file or folder to the drive. macOS then still has it in the
// drive's cache; the Sync of the receipt, a costly one, empties that for all.
func flush(path string, _ bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("fsync", syscall.Fsync(int(f.Fd())))
}
