// SPDX-License-Identifier: MIT

//go:build unix

package p2p

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

func checkOwner(path string, info fs.FileInfo) error {
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("p2p: identity key %s can be used by others (mode %04o): run chmod 600 on it", path, perm)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("p2p: identity key %s belongs to user %d: run as that user, or use another home", path, st.Uid)
	}
	return nil
}
