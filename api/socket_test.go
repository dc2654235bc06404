// SPDX-License-Identifier: MIT

//go:build unix

package api

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// The socket is in the home or, where that is too long, in a folder of this user alone.
func TestSocketPath(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	short := filepath.Join(tmp, "h")
	if got := (socket{short}).path(); len(filepath.Join(short, "api.sock")) <= maxSocketPath && got != filepath.Join(short, "api.sock") {
		t.Errorf("the path for %q is %q", short, got)
	}
	a, b := filepath.Join(tmp, strings.Repeat("a", 120)), filepath.Join(tmp, strings.Repeat("b", 120))
	if (socket{a}).path() == (socket{b}).path() || (socket{a}).path() != (socket{a + "/./"}).path() || !strings.HasPrefix((socket{a}).path(), tmp) {
		t.Errorf("long homes get %q and %q", (socket{a}).path(), (socket{b}).path())
	}
	ctx := testContext(t)
	if _, err := (&Client{socket{a}}).Status(ctx); !errors.Is(err, ErrNoNode) {
		t.Errorf("without the folder: %v, want ErrNoNode", err)
	}
	l, _, err := socket{a}.listen()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	folder := filepath.Dir((socket{a}).path())
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o777 {
		t.Skip("no permissions on this system")
	}
	if _, _, err := (socket{a}).listen(); err == nil {
		t.Error("a folder that everybody can write to is taken")
	}
	if _, err := (&Client{socket{a}}).Status(ctx); err == nil || errors.Is(err, ErrNoNode) {
		t.Errorf("a client uses a folder that everybody can write to: %v", err)
	}
}

// There is no moment at which another user could connect.
func TestSocketIsPrivateFromTheBeginning(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("here a socket gets its mode when it is there")
	}
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "socket")
	l, err := private.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("before its mode is set, the socket is %v, %v", info.Mode(), err)
	}
}
