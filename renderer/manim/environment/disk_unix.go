// SPDX-License-Identifier: MIT

//go:build unix

package environment

import "golang.org/x/sys/unix"

// freeDisk returns the bytes that an ordinary user may still write under path.
func freeDisk(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, err
	}
	return uint64(max(s.Bavail, 0)) * uint64(s.Bsize), nil
}
