// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"meshnode/job"
	"meshnode/renderer"
)

// take copies what an engine has made to where the user wants it: one film, or a
// folder of pictures. All together have at most limit bytes.
func (f *finishing) take(out *os.Root, m *job.Manifest, made []string, limit int64) (string, error) {
	if len(made) == 0 || len(made) > max(1, int(m.Frames())) {
		return "", fmt.Errorf("the renderer made %d files", len(made))
	}
	to := f.File
	if to == "" {
		name := m.Name
		if job.CheckPath(name) != nil || strings.Contains(name, "/") {
			name = "film"
		}
		to = filepath.Join(f.Dir, name+"-"+f.id.Short())
		if len(made) == 1 {
			to += filepath.Ext(made[0])
		}
	}
	if len(made) == 1 {
		_, err := takeFile(out, made[0], to, limit)
		return to, err
	}
	return to, f.takeFolder(out, made, to, limit)
}

// takeFolder copies pictures to a new folder, whole or not at all. One that is there with
// all of them was made before the node was killed, and is left as it is.
func (f *finishing) takeFolder(out *os.Root, made []string, to string, limit int64) error {
	if _, err := os.Lstat(to); err == nil {
		return sameFolder(out, made, to, limit)
	}
	part := fmt.Sprintf("%s.%s.part", to, f.id.Short()) // no folder of the user has that name
	err := os.RemoveAll(part)
	if err == nil {
		err = os.Mkdir(part, 0o777)
	}
	for i, name := range made {
		if err != nil {
			break
		}
		var size int64
		size, err = takeFile(out, name, filepath.Join(part, pictureName(i, name)), limit)
		limit -= size
	}
	if err == nil {
		err = os.Rename(part, to)
	}
	if err != nil {
		return fmt.Errorf("film: %w", errors.Join(err, os.RemoveAll(part)))
	}
	return nil
}

// pictureName is the name in a folder of the picture that an engine has made as name.
func pictureName(i int, name string) string { return fmt.Sprintf("%04d%s", i, filepath.Ext(name)) }

// sameFolder returns an error unless a folder has all of these pictures.
func sameFolder(out *os.Root, made []string, dir string, limit int64) error {
	for i, name := range made {
		size, err := sameFile(out, name, filepath.Join(dir, pictureName(i, name)), limit)
		if err != nil {
			return fmt.Errorf("film: %s is there already, and is another (%w): move it, or name another folder with --output", dir, err)
		}
		limit -= size
	}
	return nil
}

// sameFile returns an error unless a file is a copy of one of an engine.
func sameFile(out *os.Root, name, copied string, limit int64) (size int64, err error) {
	from, size, err := renderer.OpenOutput(out, name, limit)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	differs := fmt.Errorf("%s differs", filepath.Base(copied))
	if info, err := os.Lstat(copied); err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return 0, differs
	}
	there, err := os.Open(copied)
	if err != nil {
		return 0, err
	}
	defer there.Close()
	a, b := sha256.New(), sha256.New()
	_, errA := io.Copy(a, from)
	_, errB := io.Copy(b, there)
	if err := errors.Join(errA, errB); err != nil {
		return 0, err
	}
	if !bytes.Equal(a.Sum(nil), b.Sum(nil)) {
		return 0, differs
	}
	return size, nil
}

// takeFile copies one file of an engine, whole or not at all.
func takeFile(out *os.Root, name, to string, limit int64) (size int64, err error) {
	from, size, err := renderer.OpenOutput(out, name, limit)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	part, err := os.Create(to + ".part")
	if err != nil {
		return 0, fmt.Errorf("film: %w", err)
	}
	_, err = io.Copy(part, from)
	if err = errors.Join(err, part.Sync(), part.Close()); err == nil {
		err = os.Rename(part.Name(), to)
	}
	if err != nil {
		os.Remove(part.Name())
		return 0, fmt.Errorf("film: %w", err)
	}
	return size, nil
}
