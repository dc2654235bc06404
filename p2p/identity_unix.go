// SPDX-License-Identifier: MIT

//go:build unix

package p2p

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkOwner refuses a secret that others can use, or that is somebody else's.
func checkOwner(what, path string, info fs.FileInfo) error {
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("p2p: %s %s can be used by others (mode %04o): run chmod 600 on it", what, path, perm)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("p2p: %s %s belongs to user %d: run as that user, or use another", what, path, st.Uid)
	}
	return nil
}
