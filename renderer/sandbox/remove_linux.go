// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
)

// removeAll removes a folder with all that a job has left in it. However deep
// that is, neither paths nor the number of open files grow: what is in a folder
// is moved up before the folder goes. Folders that the job has closed are opened.
// Nobody may be using it any more.
func removeAll(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	defer root.Close()
	for moved := 0; ; {
		names, err := someNames(root, ".")
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return os.Remove(dir)
		}
		for _, name := range names {
			err := root.Remove(name)
			if err == nil {
				continue
			}
			info, statErr := root.Lstat(name)
			if statErr != nil || !info.IsDir() {
				return err
			}
			if err := moveUp(root, name, &moved); err != nil {
				return err
			}
		}
	}
}

// moveUp moves some of what is in a folder below root to root itself. moved
// counts what has been, for new names.
func moveUp(root *os.Root, folder string, moved *int) error {
	if err := root.Chmod(folder, 0o700); err != nil {
		return err
	}
	names, err := someNames(root, folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		from := folder + "/" + name
		if root.Remove(from) == nil {
			continue
		}
		if err := root.Chmod(from, 0o700); err != nil { // a folder that moves is written to
			return err
		}
		for { // the job may have taken the name
			*moved++
			to := "moved-" + strconv.Itoa(*moved)
			if _, err := root.Lstat(to); err == nil {
				continue
			}
			if err := root.Rename(from, to); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// someNames returns at most 1,000 names of a folder below root.
func someNames(root *os.Root, folder string) ([]string, error) {
	f, err := root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(1000)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}
