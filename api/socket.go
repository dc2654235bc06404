// SPDX-License-Identifier: MIT

package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSocketPath is the longest path, in bytes, that is used for a Unix socket:
// the systems' limits are 104 (BSD, macOS) and 108 (Linux, Windows), including
// the final zero.
const maxSocketPath = 100

// SocketPath returns where the node that owns home listens: api.sock in home
// or, where that path is too long for a socket, one named by the hash of home
// in a folder of this user under [os.TempDir].
func SocketPath(home string) string {
	if abs, err := filepath.Abs(home); err == nil {
		home = abs
	}
	path := filepath.Join(home, "api.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(home))
	return filepath.Join(os.TempDir(), socketFolder(), hex.EncodeToString(sum[:8])+".sock")
}

// MakeSocketFolder creates the folder of [SocketPath], readable by this user
// only. It refuses a folder that somebody else made.
func MakeSocketFolder(home string) error {
	dir := filepath.Dir(SocketPath(home))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("api: make the socket's folder: %w", err)
	}
	return checkSocketFolder(home)
}

// checkSocketFolder returns an error when another user could have put a socket
// of his own at SocketPath: a client sends its environment there. A missing
// folder is [fs.ErrNotExist]. The home itself is the user's to guard.
func checkSocketFolder(home string) error {
	dir := filepath.Dir(SocketPath(home))
	if abs, err := filepath.Abs(home); err == nil && dir == abs {
		return nil
	}
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return fmt.Errorf("api: look at the socket's folder: %w", err)
	}
	if !info.IsDir() || !private(info) {
		return fmt.Errorf("api: %s is not a private folder of this user: remove it, or choose a shorter --home", dir)
	}
	return nil
}
