// SPDX-License-Identifier: MIT

//go:build unix

package blockstore

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// freeBytes returns what an ordinary user may still write to the file system of
// a folder.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}
