// SPDX-License-Identifier: MIT

package renderer

import (
	"fmt"
	"io"
	"os"

	"meshnode/job"
)

// OpenOutput opens a file that an engine has written, and returns its size in
// bytes. The engine is not trusted: a link, a pipe, a folder, a device, a file
// with a second name, or one of more than limit bytes is refused, and opening
// never blocks. Reading past the size returned is an error of the reader.
func OpenOutput(root *os.Root, name string, limit int64) (io.ReadCloser, int64, error) {
	if err := job.CheckPath(name); err != nil {
		return nil, 0, err
	}
	named, err := root.Lstat(name) // os.Root follows a link inside the root, whatever the flags
	if err != nil {
		return nil, 0, fmt.Errorf("renderer: output %q: %w", name, err)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("renderer: output %q: %w", name, err)
	}
	info, err := f.Stat()
	if err == nil {
		switch {
		case !os.SameFile(named, info):
			err = fmt.Errorf("renderer: output %q is not a regular file (%v)", name, named.Mode().Type())
		case !info.Mode().IsRegular():
			err = fmt.Errorf("renderer: output %q is not a regular file (%v)", name, info.Mode().Type())
		case links(info) > 1:
			err = fmt.Errorf("renderer: output %q has other names", name)
		case info.Size() > limit:
			err = fmt.Errorf("renderer: output %q has %d bytes, at most %d allowed", name, info.Size(), limit)
		}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
