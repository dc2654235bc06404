// SPDX-License-Identifier: MIT

//go:build !linux

package environment

import (
	"io/fs"
	"path/filepath"
)

// persistTree makes all in a folder outlast a power cut.
func persistTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		return flush(path, d.IsDir())
	})
}
