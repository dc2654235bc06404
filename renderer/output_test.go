// SPDX-License-Identifier: MIT

//go:build unix

package renderer_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"meshnode/renderer"
)

func TestOpenOutput(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	files := map[string]func(path string) error{
		"plain":  func(p string) error { return os.WriteFile(p, []byte("cell"), 0o600) },
		"large":  func(p string) error { return os.WriteFile(p, make([]byte, 11), 0o600) },
		"sparse": func(p string) error { f, err := os.Create(p); defer f.Close(); return firstOf(err, f.Truncate(1<<40)) },
		"link":   func(p string) error { return firstOf(os.WriteFile(outside, nil, 0o600), os.Symlink(outside, p)) },
		"inner":  func(p string) error { return os.Symlink("plain", p) },
		"hard":   func(p string) error { return firstOf(os.WriteFile(p+"2", nil, 0o600), os.Link(p+"2", p)) },
		"pipe":   func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, create := range files {
		if err := create(filepath.Join(dir, name)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for name := range files {
		f, size, err := renderer.OpenOutput(root, name, 10)
		if name != "plain" {
			if err == nil {
				t.Errorf("%s was opened", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if data, err := io.ReadAll(f); err != nil || string(data) != "cell" || size != 4 {
			t.Errorf("%s: %q, %d, %v", name, data, size, err)
		}
		f.Close()
	}
	for _, name := range []string{"", ".", "..", "../plain", "/etc/passwd", "folder/../plain", "missing"} {
		if _, _, err := renderer.OpenOutput(root, name, 10); err == nil {
			t.Errorf("%q was opened", name)
		}
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
