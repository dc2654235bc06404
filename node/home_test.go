// SPDX-License-Identifier: MIT

package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// That a home cannot be locked does not say that a node is running on it.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	h, err := openHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := openHome(dir); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("in use: %v", err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := lockFile(f); err == nil || errors.Is(err, ErrInUse) {
		t.Errorf("a file without a lock: %v", err)
	}
}
