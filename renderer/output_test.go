// SPDX-License-Identifier: MIT

//go:build unix

package renderer_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"meshnode/renderer"
)

// What a hostile job may leave in its folder, if a sandbox let it.
func TestOpenOutput(t *testing.T) {
	base, err := os.MkdirTemp("", "out") // a short path: the socket's has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	dir := filepath.Join(base, "o")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(dir, 0o700))
	must(os.WriteFile(filepath.Join(base, "secret"), []byte("secret"), 0o600))
	must(os.Mkdir(filepath.Join(dir, "cells"), 0o700))
	must(os.WriteFile(filepath.Join(dir, "cells", "7.mp4"), []byte("cell"), 0o600))
	must(os.WriteFile(filepath.Join(dir, "one"), []byte("x"), 0o600))
	must(os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "two")))
	must(os.Symlink("../secret", filepath.Join(dir, "link")))
	must(os.Symlink("..", filepath.Join(dir, "up")))
	must(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	must(err)
	defer socket.Close()
	large, err := os.Create(filepath.Join(dir, "sparse"))
	must(err)
	must(large.Truncate(1 << 40))
	must(large.Close())

	out, err := os.OpenRoot(dir)
	must(err)
	defer out.Close()
	for _, name := range []string{"", ".", "..", "cells", "one", "two", "link", "up/secret", "pipe", "socket", "sparse", "none",
		"../secret", "cells/../../secret", filepath.Join(base, "secret"), "/etc/passwd", "cells/7.mp4/x", "a\x00b"} {
		if f, _, err := renderer.OpenOutput(out, name, 1<<20); err == nil {
			t.Errorf("%q was opened", name)
			f.Close()
		}
	}
	if _, _, err := renderer.OpenOutput(out, "cells/7.mp4", 3); err == nil {
		t.Error("4 bytes were opened under a limit of 3")
	}

	f, size, err := renderer.OpenOutput(out, "cells/7.mp4", 4)
	must(err)
	defer f.Close()
	if text, err := io.ReadAll(f); string(text) != "cell" || size != 4 || err != nil {
		t.Errorf("read %q (%d), %v", text, size, err)
	}
}
