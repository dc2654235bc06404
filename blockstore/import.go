// SPDX-License-Identifier: MIT

package blockstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"meshnode/job"
)

// writers is how many blocks of one call are hashed and written at a time. Each
// holds at most job.MaxBlock bytes.
const writers = 4

// PutBlock implements [Store].
func (c *core) PutBlock(ctx context.Context, block []byte) (job.CID, error) {
	_, end, err := c.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	if len(block) == 0 || len(block) > job.MaxBlock {
		return "", fmt.Errorf("%w: a block of %d bytes, 1 to %d allowed", ErrLimit, len(block), job.MaxBlock)
	}
	cid := job.CIDOf(block)
	c.hold(cid)
	defer c.release(cid)
	if err := c.write(cid, bytes.Clone(block)); err != nil {
		return "", err
	}
	return cid, c.flush([]job.CID{cid})
}

// Import implements [Store].
func (c *core) Import(ctx context.Context, files []Source) (job.CID, *job.FileSet, error) {
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return "", nil, err
	}
	defer end()
	sources, set, err := declare(files)
	if err != nil {
		return "", nil, err
	}
	if err := c.room(set.Size()); err != nil {
		return "", nil, err
	}

	im := &importer{core: c}
	im.Group, im.ctx = errgroup.WithContext(ctx)
	im.SetLimit(writers)
	defer func() { c.release(im.cids...) }()
	for i, source := range sources {
		if err = im.file(source, set.Files[i].Blocks); err != nil {
			break
		}
	}
	// A failed write ends the reading by ctx: it is the cause to report.
	if werr := im.Wait(); werr != nil {
		return "", nil, werr
	}
	if err != nil {
		return "", nil, err
	}

	block, cid, err := set.Block()
	if err != nil {
		return "", nil, err
	}
	im.hold(cid)
	if err := c.write(cid, block); err != nil {
		return "", nil, err
	}
	return cid, set, c.flush(im.cids)
}

// declare checks all that can be checked before a file is opened, and returns
// the set with room for the CIDs, and its sources in the set's order.
func declare(files []Source) ([]Source, *job.FileSet, error) {
	if len(files) > job.MaxFiles {
		return nil, nil, fmt.Errorf("%w: %d files in a set, at most %d allowed", ErrLimit, len(files), job.MaxFiles)
	}
	sources := slices.SortedFunc(slices.Values(files), func(a, b Source) int { return strings.Compare(a.Path, b.Path) })
	set := &job.FileSet{V: job.Version, Files: make([]job.File, len(sources))}
	total := int64(0)
	for i, s := range sources {
		if err := job.CheckPath(s.Path); err != nil {
			return nil, nil, err
		}
		if i > 0 && s.Path == sources[i-1].Path {
			return nil, nil, fmt.Errorf("%w: %q is twice in the set", job.ErrInvalid, s.Path)
		}
		if s.Size < 0 || s.Size > job.MaxSetSize-total {
			return nil, nil, fmt.Errorf("%w: %q of %d bytes in a set of at most %d", ErrLimit, s.Path, s.Size, int64(job.MaxSetSize))
		}
		total += s.Size
		// An empty list, not nil, for an empty file: they are encoded differently.
		blocks := make([]job.CID, blockCount(uint64(s.Size)))
		set.Files[i] = job.File{Path: s.Path, Size: uint64(s.Size), Blocks: blocks}
	}
	return sources, set, nil
}

// blockCount returns the number of blocks of a file.
func blockCount(size uint64) int { return int((size + job.MaxBlock - 1) / job.MaxBlock) }

// blockSize returns the bytes of block i of a file.
func blockSize(size uint64, i int) int { return int(min(size-uint64(i)*job.MaxBlock, job.MaxBlock)) }

// importer stores the files of one Import. One goroutine reads; those of the
// group hash and write.
type importer struct {
	*core
	*errgroup.Group
	ctx  context.Context
	cids []job.CID // held; guarded by core.mu while the group runs
}

func (im *importer) hold(cid job.CID) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.cids = append(im.cids, cid)
	im.core.held[cid]++
}

// file reads one file and fills in its blocks.
func (im *importer) file(s Source, blocks []job.CID) error {
	f, err := s.Open()
	if err != nil {
		return fmt.Errorf("blockstore: import %q: %w", s.Path, err)
	}
	defer f.Close()
	for i := range blocks {
		if err := context.Cause(im.ctx); err != nil {
			return err
		}
		data := make([]byte, blockSize(uint64(s.Size), i))
		if n, err := io.ReadFull(f, data); err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("blockstore: import %q: it ends after %d of %d bytes: was it being written?",
				s.Path, i*job.MaxBlock+n, s.Size)
		} else if err != nil {
			return fmt.Errorf("blockstore: import %q: %w", s.Path, err)
		}
		im.Go(func() error {
			cid := job.CIDOf(data)
			blocks[i] = cid
			im.hold(cid)
			return im.write(cid, data)
		})
	}
	if n, err := io.ReadFull(f, make([]byte, 1)); n > 0 {
		return fmt.Errorf("blockstore: import %q: it has more than %d bytes: was it being written?", s.Path, s.Size)
	} else if err != io.EOF {
		return fmt.Errorf("blockstore: import %q: %w", s.Path, err)
	}
	return nil
}
