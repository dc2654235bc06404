// SPDX-License-Identifier: MIT

//go:build unix

package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketPath is the longest path, in bytes, that is used for a Unix socket:
// the systems' limits are 104 (BSD, macOS) and 108 (Linux), including the final
// zero.
const maxSocketPath = 100

func doorOf(home string) door { return socket{home} }

// socket is the door of a home as a Unix socket, which only its user can connect to.
type socket struct{ home string }

// path is where the socket is: api.sock in the home or, where that path is too long
// for a socket, one named by the hash of the home in a folder of this user under
// [os.TempDir].
func (s socket) path() string {
	home := s.home
	if abs, err := filepath.Abs(home); err == nil {
		home = abs
	}
	path := filepath.Join(home, "api.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(home))
	folder := fmt.Sprintf("meshnode-%d", os.Getuid())
	return filepath.Join(os.TempDir(), folder, hex.EncodeToString(sum[:8])+".sock")
}

func (s socket) entry() entry { return entry{network: "unix", address: s.path(), host: "meshnode"} }

func (s socket) listen() (net.Listener, entry, error) {
	path := s.path()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, entry{}, fmt.Errorf("api: make the socket's folder: %w", err)
	}
	if err := s.checkFolder(); err != nil {
		return nil, entry{}, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, entry{}, fmt.Errorf("api: old socket: %w", err)
	}
	l, err := private.Listen(context.Background(), "unix", path) // it removes the socket when it is closed
	if err != nil {
		return nil, entry{}, fmt.Errorf("api: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, entry{}, fmt.Errorf("api: %w", errors.Join(err, l.Close()))
	}
	return l, s.entry(), nil
}

// private makes sockets that are their user's from the beginning, whatever the umask. On
// Linux a socket's file gets the mode that the socket has; elsewhere that cannot be set,
// and the file's is set when it is there.
var private = net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}}

func (s socket) find(context.Context) (entry, error) {
	if err := s.checkFolder(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return entry{}, err
	}
	return s.entry(), nil
}

// checkFolder returns an error when another user could have put a socket of his own at
// path: a client sends its environment there. A missing folder is [fs.ErrNotExist]. The
// home itself is the user's to guard.
func (s socket) checkFolder() error {
	dir := filepath.Dir(s.path())
	if abs, err := filepath.Abs(s.home); err == nil && dir == abs {
		return nil
	}
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return fmt.Errorf("api: look at the socket's folder: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("api: %s is not a private folder of this user: remove it, or choose a shorter --home", dir)
	}
	return nil
}
