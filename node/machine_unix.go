// SPDX-License-Identifier: MIT

//go:build unix

package node

import "golang.org/x/sys/unix"

// freeDisk returns the bytes free for this user where dir is, and whether the
// system tells.
func freeDisk(dir string) (uint64, bool) {
	var st unix.Statfs_t
	if dir == "" || unix.Statfs(dir, &st) != nil {
		return 0, false
	}
	return uint64(st.Bavail) * uint64(st.Bsize), true
}
