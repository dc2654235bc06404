// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"meshnode/job"
)

// errDeadline is returned for a call that could wait for ever.
var errDeadline = errors.New("blockstore: a context without a deadline: set one")

// Block implements [Store].
func (c *core) Block(ctx context.Context, cid job.CID, from []job.PeerID) ([]byte, error) {
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if _, ok := ctx.Deadline(); !ok && len(from) > 0 {
		return nil, errDeadline
	}
	c.hold(cid)
	defer c.release(cid)
	data, err := c.read(cid)
	if err == nil || len(from) == 0 {
		return data, err
	}
	if data, err = c.fetchBlock(ctx, cid, from, err); err == nil {
		c.unused(cid)
	}
	return data, err
}

// unused lets a block go before all others, unless it is read once more: what a
// peer's offer has brought here is of no use if nothing comes of the offer.
func (c *core) unused(cid job.CID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.blocks[cid]; e != nil {
		e.used = 0
	}
}

// fetchBlock gets one block of unknown size from peers. missing says why it is
// not here.
func (c *core) fetchBlock(ctx context.Context, cid job.CID, from []job.PeerID, missing error) ([]byte, error) {
	if _, err := cid.Parse(); err != nil {
		return nil, err
	}
	if c.exchange == nil {
		return nil, missing
	}
	if err := c.room(job.MaxBlock); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for b := range c.exchange.Fetch(ctx, []job.CID{cid}, from) {
		if b.CID != cid || check(b.CID, b.Data) != nil {
			continue
		}
		if len(b.Data) > job.MaxBlock {
			return nil, fmt.Errorf("%w: block %s has %d bytes, at most %d allowed", ErrLimit, cid, len(b.Data), job.MaxBlock)
		}
		if err := c.write(cid, b.Data); err != nil {
			return nil, err
		}
		return b.Data, c.flush([]job.CID{cid})
	}
	return nil, c.notFound(ctx, missing)
}

// notFound adds to missing why nobody had better.
func (c *core) notFound(ctx context.Context, missing error) error {
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w, and no peer had it in time: %w", missing, cause)
	}
	return fmt.Errorf("%w, and no peer has it", missing)
}

// Fetch implements [Store].
func (c *core) Fetch(ctx context.Context, cid job.CID, from []job.PeerID, limit uint64) (*job.FileSet, error) {
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if _, ok := ctx.Deadline(); !ok {
		return nil, errDeadline
	}
	c.hold(cid)
	defer c.release(cid)
	block, err := c.read(cid)
	if err != nil {
		block, err = c.fetchBlock(ctx, cid, from, err)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch file set: %w", err)
	}
	set, err := job.DecodeFileSet(block)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", cid, err)
	}
	if size := set.Size(); size > limit {
		return nil, fmt.Errorf("%w: file set %s has %d bytes, at most %d allowed", ErrLimit, cid, size, limit)
	}
	sizes, err := blockSizes(set)
	if err != nil {
		return nil, err
	}

	blocks := set.Blocks()
	c.hold(blocks...)
	defer c.release(blocks...)
	if err := c.download(ctx, blocks, sizes, from); err != nil {
		return nil, fmt.Errorf("fetch file set %s: %w", cid, err)
	}
	return set, c.flush(append(blocks, cid))
}

// blockSizes returns the bytes of each block of the set. A set that gives one
// block two sizes is a lie.
func blockSizes(set *job.FileSet) (map[job.CID]int64, error) {
	sizes := make(map[job.CID]int64)
	for _, f := range set.Files {
		for i, cid := range f.Blocks {
			size := int64(blockSize(f.Size, i))
			if other, ok := sizes[cid]; ok && other != size {
				return nil, fmt.Errorf("%w: file set: block %s with %d and with %d bytes", job.ErrInvalid, cid, other, size)
			}
			sizes[cid] = size
		}
	}
	return sizes, nil
}

// download gets those of the blocks that are not here, or not sound.
func (c *core) download(ctx context.Context, blocks []job.CID, sizes map[job.CID]int64, from []job.PeerID) error {
	missing, why, err := c.missing(ctx, blocks, sizes)
	if err != nil || len(missing) == 0 {
		return err
	}
	if c.exchange == nil {
		return why
	}
	need := uint64(0)
	left := make(map[job.CID]bool, len(missing))
	for _, cid := range missing {
		need += uint64(sizes[cid])
		left[cid] = true
	}
	if err := c.room(need); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for b := range c.exchange.Fetch(gctx, missing, from) {
		if !left[b.CID] {
			continue
		}
		delete(left, b.CID)
		group.Go(func() error { return c.admit(b, sizes[b.CID]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%d of %d blocks: %w", len(left), len(blocks), c.notFound(ctx, why))
	}
	return nil
}

// missing returns the blocks that have to be fetched, and why the last of them
// is not here. Blocks that this process has not yet seen the bytes of are read:
// a power cut may have left less than their name.
func (c *core) missing(ctx context.Context, blocks []job.CID, sizes map[job.CID]int64) (out []job.CID, why, err error) {
	for _, cid := range blocks {
		if err := context.Cause(ctx); err != nil {
			return nil, nil, err
		}
		c.mu.Lock()
		e := c.blocks[cid]
		known := e != nil && e.checked
		if known {
			e.used = c.now()
		}
		c.mu.Unlock()
		if !known {
			if _, err := c.read(cid); err != nil {
				out, why = append(out, cid), err
				continue
			}
			e = c.entry(cid)
		}
		if e != nil && e.size != sizes[cid] {
			return nil, nil, fmt.Errorf("%w: block %s has %d bytes where the file set says %d", job.ErrInvalid, cid, e.size, sizes[cid])
		}
	}
	return out, why, nil
}
