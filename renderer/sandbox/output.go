// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Output is one file that a job has made. The job may still write to it: hash
// what was copied from here, never the file.
type Output struct {
	io.Reader       // ends after Size bytes
	Size      int64 // when it was opened
	file      *os.File
}

// Close closes the file.
func (o *Output) Close() error { return o.file.Close() }

// OpenOutput opens a file below out, a folder that a hostile job may be writing
// to. It refuses whatever is not a plain file with one name and at most limit
// bytes, and never blocks or leaves the folder.
func OpenOutput(out *os.Root, name string, limit int64) (*Output, error) {
	// Without noWait a pipe put here by the job would hang the open.
	f, err := out.OpenFile(name, os.O_RDONLY|noWait, 0)
	if err != nil {
		return nil, fmt.Errorf("sandbox: output refused: %w", err)
	}
	size, err := plainSize(f)
	if err == nil && size > limit {
		err = fmt.Errorf("%d bytes, more than %d", size, limit)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("sandbox: output %q refused: %w", name, err)
	}
	return &Output{Reader: io.LimitReader(f, size), Size: size, file: f}, nil
}

func plainSize(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errors.New("not a plain file")
	}
	if !oneName(info) {
		return 0, errors.New("a hard link")
	}
	return info.Size(), nil
}
