// SPDX-License-Identifier: MIT

package blockstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"meshnode/job"
)

// Pin implements [Store].
func (c *core) Pin(ctx context.Context, owner string, cids ...job.CID) error {
	_, end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := checkOwner(owner); err != nil {
		return err
	}
	for _, cid := range cids {
		if _, err := cid.Parse(); err != nil {
			return fmt.Errorf("blockstore: pin %.80q: %w", string(cid), err)
		}
	}
	// A collection that runs does not know of these yet, and would take what has only
	// just been stored.
	held := slices.Clone(cids)
	c.hold(cids...)
	defer func() { c.release(held...) }()
	for _, cid := range cids {
		blocks, err := c.blocksOf(cid)
		if err != nil {
			return fmt.Errorf("blockstore: pin for %s: %w", owner, err)
		}
		c.hold(blocks...)
		held = append(held, blocks...)
	}
	c.collecting.Lock()
	defer c.collecting.Unlock()
	if err := c.medium.pin(owner, cids); err != nil {
		return fmt.Errorf("blockstore: pin for %s: %w", owner, err)
	}
	if c.pins[owner] == nil {
		c.pins[owner] = make(map[job.CID]bool)
	}
	for _, cid := range cids {
		c.pins[owner][cid] = true
	}
	return nil
}

// Unpin implements [Store].
func (c *core) Unpin(ctx context.Context, owner string) error {
	_, end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := checkOwner(owner); err != nil {
		return err
	}
	c.collecting.Lock()
	defer c.collecting.Unlock()
	if err := c.medium.unpin(owner); err != nil {
		return fmt.Errorf("blockstore: unpin %s: %w", owner, err)
	}
	delete(c.pins, owner)
	return nil
}

// Owners implements [Store].
func (c *core) Owners(ctx context.Context) ([]string, error) {
	_, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	c.collecting.Lock()
	defer c.collecting.Unlock()
	return slices.Sorted(maps.Keys(c.pins)), nil
}

// checkOwner keeps owners to what is a file name everywhere.
func checkOwner(owner string) error {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	if owner == "" || len(owner) > 128 || strings.ContainsFunc(owner, bad) {
		return fmt.Errorf(`blockstore: pin owner %.200q: use 1 to 128 letters, digits, "-" and "_"`, owner)
	}
	return nil
}

// Collect implements [Store].
func (c *core) Collect(ctx context.Context, keep uint64) (freed uint64, err error) {
	return c.clear(ctx, keep, c.collectOne)
}

// collectOne deletes a block that was not used since it was found.
func (c *core) collectOne(old candidate) (freed int64, err error) {
	return c.remove(old.cid, func(e *entry) bool { return e.used == old.used && c.held[old.cid] == 0 })
}

// Collectable implements [Store].
func (c *core) Collectable(ctx context.Context, keep uint64) (bytes uint64, err error) {
	return c.clear(ctx, keep, func(old candidate) (int64, error) { return old.size, nil })
}

// clear lets remove have each block that may go, and returns the sum of its bytes.
func (c *core) clear(ctx context.Context, keep uint64, remove func(candidate) (bytes int64, err error)) (sum uint64, err error) {
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	c.collecting.Lock()
	defer c.collecting.Unlock()
	candidates, err := c.collectable(ctx, keep)
	if err != nil {
		return 0, err
	}
	for _, old := range candidates {
		if err := context.Cause(ctx); err != nil {
			return sum, err
		}
		n, err := remove(old)
		if err != nil {
			return sum, err
		}
		sum += uint64(n)
	}
	return sum, nil
}

// candidate is a block that may go, as it was when it was found.
type candidate struct {
	cid        job.CID
	size, used int64
}

// collectable returns the blocks to delete so that at most keep bytes remain, the
// least recently used first. collecting is held.
func (c *core) collectable(ctx context.Context, keep uint64) ([]candidate, error) {
	pinned, err := c.pinned(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	excess := int64(c.bytes) - int64(min(keep, c.bytes))
	var candidates []candidate
	for cid, e := range c.blocks {
		if !pinned[cid] && c.held[cid] == 0 {
			candidates = append(candidates, candidate{cid, e.size, e.used})
		}
	}
	c.mu.Unlock()
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	for i, old := range candidates {
		if excess <= 0 {
			return candidates[:i], nil
		}
		excess -= old.size
	}
	return candidates, nil
}

// pinned returns all pinned blocks. collecting is held.
func (c *core) pinned(ctx context.Context) (map[job.CID]bool, error) {
	all := make(map[job.CID]bool)
	for owner := range c.pins {
		if err := c.pinnedBy(ctx, owner, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// pinnedBy adds an owner's pinned blocks, and those of its sets. collecting is held.
func (c *core) pinnedBy(ctx context.Context, owner string, out map[job.CID]bool) error {
	for cid := range c.pins[owner] {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		out[cid] = true
		blocks, err := c.blocksOf(cid)
		if err != nil { // deleting now might delete the blocks of this set
			return err
		}
		for _, b := range blocks {
			out[b] = true
		}
	}
	return nil
}

// blocksOf returns the blocks of what is a file set, and here. A plain block that happens
// to read as a set has a few, too.
func (c *core) blocksOf(cid job.CID) ([]job.CID, error) {
	block, err := c.read(cid)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	set, err := job.DecodeFileSet(block)
	if err != nil {
		return nil, nil
	}
	return set.Blocks(), nil
}
