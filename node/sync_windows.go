// SPDX-License-Identifier: MIT

package node

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// syncDir does nothing: a folder cannot be synced here.
func syncDir(string) error { return nil }

// lockFile takes the lock of a file for as long as it is open. The error is ErrInUse
// where another has it.
func lockFile(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrInUse
	}
	return err
}
