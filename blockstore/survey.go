// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"maps"
	"slices"

	"meshnode/job"
)

// Amount is so much of a store.
type Amount struct {
	Blocks int
	Bytes  uint64
}

// Holdings is what a store has.
type Holdings struct {
	All     Amount
	Pinned  Amount            // by anybody
	ByOwner map[string]Amount // pinned; what several owners have pinned is in each
}

// Survey implements [Store].
func (c *core) Survey(ctx context.Context) (*Holdings, error) {
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	c.collecting.Lock()
	defer c.collecting.Unlock()
	h := &Holdings{ByOwner: make(map[string]Amount)}
	all := make(map[job.CID]bool)
	for owner := range c.pins {
		own := make(map[job.CID]bool)
		if err := c.pinnedBy(ctx, owner, own); err != nil {
			return nil, err
		}
		h.ByOwner[owner] = c.amount(own)
		maps.Copy(all, own)
	}
	h.Pinned = c.amount(all)
	c.mu.Lock()
	defer c.mu.Unlock()
	h.All = Amount{len(c.blocks), c.bytes}
	return h, nil
}

// amount returns how much of those blocks is here.
func (c *core) amount(of map[job.CID]bool) (a Amount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cid := range of {
		if e := c.blocks[cid]; e != nil {
			a.Blocks++
			a.Bytes += uint64(e.size)
		}
	}
	return a
}

// Verify implements [Store].
func (c *core) Verify(ctx context.Context) (checked Amount, damaged []job.CID, err error) {
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return checked, nil, err
	}
	defer end()
	c.mu.Lock()
	cids := slices.Sorted(maps.Keys(c.blocks))
	c.mu.Unlock()
	for _, cid := range cids {
		if err := context.Cause(ctx); err != nil {
			return checked, damaged, err
		}
		data, _, err := c.sound(cid)
		switch {
		case errors.Is(err, ErrNotFound): // collected meanwhile
			continue
		case errors.Is(err, ErrCorrupt):
			damaged = append(damaged, cid)
		case err != nil:
			return checked, damaged, err
		}
		checked.Blocks++
		checked.Bytes += uint64(len(data))
	}
	return checked, damaged, nil
}
