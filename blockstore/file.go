// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"meshnode/job"
)

// Open returns a reader of one file of a local set. Every block is checked
// before the first of its bytes is returned. Reads fail when ctx ends; the
// caller closes the reader.
func Open(ctx context.Context, s Store, set job.CID, path string) (io.ReadCloser, error) {
	block, err := s.Block(ctx, set, nil)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	decoded, err := job.DecodeFileSet(block)
	if err != nil {
		return nil, fmt.Errorf("open %q in %s: %w", path, set, err)
	}
	i, ok := slices.BinarySearchFunc(decoded.Files, path, func(f job.File, path string) int { return strings.Compare(f.Path, path) })
	if !ok {
		return nil, fmt.Errorf("blockstore: open %q in %s: %w", path, set, fs.ErrNotExist)
	}
	return &reader{ctx: ctx, store: s, file: decoded.Files[i]}, nil
}

// reader holds one block at a time.
type reader struct {
	ctx    context.Context
	store  Store
	file   job.File
	next   int    // block
	rest   []byte // of the block before next
	closed bool
}

func (r *reader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, fs.ErrClosed
	}
	if len(r.rest) == 0 {
		if r.next == len(r.file.Blocks) {
			return 0, io.EOF
		}
		data, err := r.store.Block(r.ctx, r.file.Blocks[r.next], nil)
		if err == nil {
			err = checkSize(r.file, r.next, data)
		}
		if err != nil {
			return 0, fmt.Errorf("read %q: %w", r.file.Path, err)
		}
		r.rest = data
		r.next++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *reader) Close() error {
	r.closed = true
	return nil
}
