// SPDX-License-Identifier: MIT

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// folder keeps each record as one file.
type folder struct{ dir string }

// newFolder returns the records under dir, which it empties: a job does not
// outlive its node yet.
func newFolder(dir string) (folder, error) {
	if err := os.RemoveAll(dir); err != nil {
		return folder{}, fmt.Errorf("node: old records: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return folder{}, fmt.Errorf("node: records: %w", err)
	}
	return folder{dir}, nil
}

// Put writes a record, or deletes it.
func (f folder) Put(key string, value []byte) error {
	path := filepath.Join(f.dir, url.QueryEscape(key))
	if value == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("node: record %s: %w", key, err)
		}
		return nil
	}
	if err := writeFile(path, value); err != nil {
		return fmt.Errorf("node: record %s: %w", key, err)
	}
	return nil
}

// writeFile replaces a file: after a crash it is the old one or the new one.
func writeFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// NoRecords forgets: for nodes whose jobs need not outlive them.
type NoRecords struct{}

// Put does nothing.
func (NoRecords) Put(string, []byte) error { return nil }
