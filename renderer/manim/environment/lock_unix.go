// SPDX-License-Identifier: MIT

//go:build unix

package environment

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock of a file, for as long as it is open, unless another
// holds it.
func tryLock(f *os.File) (taken bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
