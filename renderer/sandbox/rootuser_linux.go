// SPDX-License-Identifier: MIT

package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// preferredUser is in a range that systemd's list of user numbers leaves unused
// (1879048192 to 2147483647).
const preferredUser = 0x7ffe0000

// unusedUser returns a number for the job's user and group, outside, when the
// node is root: one that owns nothing. In a container that does not have the
// preferred one it is the highest there. It is 0 if there is no other, and root
// is an ordinary user outside of the container: then that will do.
func unusedUser() (int, error) {
	f, err := os.Open("/proc/self/uid_map")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	highest, ordinary := 0, false
	for s := bufio.NewScanner(f); s.Scan(); {
		var first, outside, count int
		if n, _ := fmt.Sscan(s.Text(), &first, &outside, &count); n != 3 || count < 1 {
			continue
		}
		if first <= preferredUser && preferredUser < first+count {
			return preferredUser, nil
		}
		highest = max(highest, first+count-1)
		ordinary = ordinary || first == 0 && outside != 0
	}
	if highest == 0 && !ordinary {
		return 0, errors.New("root has no other user number here to run jobs with: run the node as an ordinary user")
	}
	return highest, nil
}

// chownAll gives all below root to a user and group of that number. Its time grows with
// the square of the depth: for files of file sets, whose paths are short.
func chownAll(ctx context.Context, root *os.Root, id int) error {
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // the job has moved it
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		return chown(root, path, id)
	})
}

// chownPath gives them a file below root and the folders above it.
func chownPath(root *os.Root, path string, id int) error {
	for i, c := range path {
		if c == '/' {
			if err := chown(root, path[:i], id); err != nil {
				return err
			}
		}
	}
	return chown(root, path, id)
}

func chown(root *os.Root, path string, id int) error {
	if err := root.Lchown(path, id, id); !errors.Is(err, fs.ErrNotExist) { // else the job has moved it
		return err
	}
	return nil
}
