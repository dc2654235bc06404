// SPDX-License-Identifier: MIT

package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestGiveFiles: a file that comes late is given with its folders, and nothing beside
// them. Giving everything can be broken off.
func TestGiveFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	const id = 54321
	in := filepath.Join(t.TempDir(), "in")
	if err := os.MkdirAll(filepath.Join(in, "lent/1/data"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lent/1/data/late", "lent/1/beside"} {
		if err := os.WriteFile(filepath.Join(in, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(in)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	b := &boxedProc{in: root, owner: id}
	if err := b.giveFiles([]string{"lent/1/data/late", "moved/away"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{".": 0, "lent": id, "lent/1": id, "lent/1/data": id, "lent/1/data/late": id, "lent/1/beside": 0} {
		info, err := root.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t); got.Uid != want || got.Gid != want {
			t.Errorf("%s is of user %d and group %d, want %d", name, got.Uid, got.Gid, want)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.give(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
}
