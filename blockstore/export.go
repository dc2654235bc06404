// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"meshnode/job"
)

// Export implements [Store].
func (c *core) Export(ctx context.Context, cid job.CID, root *os.Root) (err error) {
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	c.hold(cid)
	defer c.release(cid)
	block, err := c.read(cid)
	if err != nil {
		return fmt.Errorf("export file set: %w", err)
	}
	set, err := job.DecodeFileSet(block) // checks paths
	if err != nil {
		return fmt.Errorf("export %s: %w", cid, err)
	}
	blocks := set.Blocks()
	c.hold(blocks...)
	defer c.release(blocks...)

	ex := &exporter{core: c, root: root, folders: map[string]bool{".": true}}
	for _, f := range set.Files {
		if err := ex.file(ctx, f); err != nil {
			ex.undo()
			return fmt.Errorf("export %q: %w", f.Path, err)
		}
	}
	return nil
}

// exporter writes the files of one set.
type exporter struct {
	*core
	root    *os.Root
	folders map[string]bool // known to be folders, not links to some
	made    []string        // by this export, in order
}

// folder makes sure that dir is a folder. os.Root keeps links from leading out;
// none is followed inside either.
func (ex *exporter) folder(dir string) error {
	if ex.folders[dir] {
		return nil
	}
	if err := ex.folder(path.Dir(dir)); err != nil {
		return err
	}
	err := ex.root.Mkdir(dir, 0o700)
	if err == nil {
		ex.made = append(ex.made, dir)
	} else if info, lerr := ex.root.Lstat(dir); !errors.Is(err, fs.ErrExist) || lerr != nil || !info.IsDir() {
		return err
	}
	ex.folders[dir] = true
	return nil
}

func (ex *exporter) file(ctx context.Context, f job.File) error {
	if err := ex.folder(path.Dir(f.Path)); err != nil {
		return err
	}
	// O_EXCL: an existing name, a link too, is an error.
	out, err := ex.root.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	ex.made = append(ex.made, f.Path)
	for i, cid := range f.Blocks {
		if err := ex.block(ctx, out, f, i, cid); err != nil {
			_ = out.Close() // undo removes the file
			return err
		}
	}
	return out.Close()
}

// block appends block i of a file.
func (ex *exporter) block(ctx context.Context, out *os.File, f job.File, i int, cid job.CID) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	data, err := ex.read(cid)
	if err != nil {
		return err
	}
	if err := checkSize(f, i, data); err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}

// checkSize returns an error unless block i of a file has the bytes that the
// file's size leaves for it.
func checkSize(f job.File, i int, data []byte) error {
	if want := blockSize(f.Size, i); len(data) != want {
		return fmt.Errorf("%w: block %s has %d bytes where the file set says %d", job.ErrInvalid, f.Blocks[i], len(data), want)
	}
	return nil
}

// undo removes what was made, contents before folders. A folder into which
// somebody else has put something stays.
func (ex *exporter) undo() {
	for i := len(ex.made) - 1; i >= 0; i-- {
		_ = ex.root.Remove(ex.made[i])
	}
}
