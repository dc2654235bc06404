// SPDX-License-Identifier: MIT

package manim

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed engine/*.py
var engineFiles embed.FS

//go:embed selftest.py
var selfTestScene []byte

// engineDigest names this engine: its code can change a pixel like any library.
var engineDigest = digestOf(engineFiles)

func digestOf(files fs.FS) string {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		fmt.Fprintf(h, "%s %d\n", path, len(data))
		h.Write(data)
		return err
	})
	if err != nil { // embedded files are there
		panic(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// unpack writes the engine below dir and returns its entry point. A folder that
// is there already is of this very engine. Sandboxed jobs run as another user,
// so everybody may read it.
func unpack(dir string) (string, error) {
	target := filepath.Join(dir, "engine-"+engineDigest[:16])
	entry := filepath.Join(target, "engine", "__main__.py")
	if _, err := os.Stat(entry); err == nil {
		return entry, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("manim: unpack the engine: %w", err)
	}
	tmp, err := os.MkdirTemp(dir, ".engine-")
	if err != nil {
		return "", fmt.Errorf("manim: unpack the engine: %w", err)
	}
	defer os.RemoveAll(tmp)
	err = os.CopyFS(tmp, engineFiles)
	if err == nil {
		err = filepath.WalkDir(tmp, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				return os.Chmod(path, 0o755)
			}
			return os.Chmod(path, 0o644)
		})
	}
	if err == nil {
		if err = os.Rename(tmp, target); errors.Is(err, fs.ErrExist) {
			err = nil // another node of this home was quicker
		}
	}
	if err != nil {
		return "", fmt.Errorf("manim: unpack the engine: %w", err)
	}
	return entry, nil
}
