// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"

	"meshnode/blockstore"
	"meshnode/job"
)

// keepBytes is how large the store may become with blocks that no job needs any
// more: the same assets often come again.
const keepBytes = 4 << 30

// Storage is the store of a node as its owner sees it: how much is there and for
// what, whether it is sound, and what can go.
type Storage struct {
	store   blockstore.Store
	results *results                          // of earlier jobs
	free    func() (bytes uint64, known bool) // on its disk
	close   func() error
}

// StorageStatus says what is in a store. Sizes are in bytes.
type StorageStatus struct {
	Blocks  int          `json:"blocks"`
	Bytes   uint64       `json:"bytes"`
	Pinned  uint64       `json:"pinned"`  // of these, what something needs: the rest may go
	Owners  []StoreOwner `json:"owners"`  // what needs them, and for how much
	Results int          `json:"results"` // cells of earlier jobs that are remembered
	Kept    uint64       `json:"kept"`    // bytes of their files, those among them that have gone
	Quota   uint64       `json:"quota"`   // above which a node lets go what nothing needs
	Free    *uint64      `json:"free"`    // on the disk; nil: not known
	MinFree uint64       `json:"min_free"`
}

// StoreOwner is something that needs blocks: a job, or the node itself.
type StoreOwner struct {
	Owner  string `json:"owner"`          // a job's id, or another name
	Name   string `json:"name,omitempty"` // of a job: its scene's
	Blocks int    `json:"blocks"`
	Bytes  uint64 `json:"bytes"` // what several need is in each
}

// StorageVerified says how sound a store was.
type StorageVerified struct {
	Blocks  int       `json:"blocks"`  // read
	Bytes   uint64    `json:"bytes"`   // sound
	Damaged []job.CID `json:"damaged"` // and removed
}

// CollectRequest says what is to go of what nothing needs, the least recently used
// first.
type CollectRequest struct {
	Quota   *uint64 `json:"quota,omitempty"`    // bytes that may stay in the store; nil: as many as always
	MinFree *uint64 `json:"min_free,omitempty"` // bytes to be free on the disk; nil: as many as always
	DryRun  bool    `json:"dry_run,omitempty"`  // nothing goes
}

// StorageCollected says what has gone, or would.
type StorageCollected struct {
	Freed  uint64 `json:"freed"` // bytes
	Left   uint64 `json:"left"`  // bytes in the store
	DryRun bool   `json:"dry_run"`
}

// Storage returns the store of the node.
func (n *Node) Storage() *Storage {
	return &Storage{store: n.parts.Store, results: n.results, free: n.free, close: func() error { return nil }}
}

// OpenStorage opens the store of a home on which no node runs, of the mesh that the
// home has joined; it fails with ErrInUse where one does, and keeps nodes away until it is closed.
func OpenStorage(dir string) (*Storage, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("node: no store: %w: name the home of a node with --home", err)
	}
	h, err := idleHome(dir)
	if err != nil {
		return nil, err
	}
	mesh, err := MeshOf(dir, "", "")
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	records, err := h.openRecords(mesh, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	kept, err := loadResults(records)
	if err = errors.Join(err, records.Close()); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	store, err := blockstore.NewDisk(h.of(mesh, "blocks"), nil)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return &Storage{
		store: store, results: kept, free: func() (uint64, bool) { return freeDisk(dir) },
		close: func() error { return errors.Join(store.Close(), h.Close()) },
	}, nil
}

// Close gives the home up that OpenStorage has locked.
func (s *Storage) Close() error { return s.close() }

// StoreStatus counts what is there.
func (s *Storage) StoreStatus(ctx context.Context) (StorageStatus, error) {
	have, err := s.store.Survey(ctx)
	if err != nil {
		return StorageStatus{}, err
	}
	status := StorageStatus{
		Blocks: have.All.Blocks, Bytes: have.All.Bytes, Pinned: have.Pinned.Bytes, Owners: []StoreOwner{}, Quota: keepBytes, MinFree: minFree,
	}
	if free, known := s.free(); known {
		status.Free = &free
	}
	status.Results, status.Kept = s.results.sum()
	for _, owner := range slices.Sorted(maps.Keys(have.ByOwner)) {
		of := have.ByOwner[owner]
		status.Owners = append(status.Owners, StoreOwner{owner, s.sceneOf(ctx, owner), of.Blocks, of.Bytes})
	}
	return status, nil
}

// sceneOf returns the scene of a job that has its manifest here, "" of anything else.
func (s *Storage) sceneOf(ctx context.Context, owner string) string {
	if _, err := job.CID(owner).Parse(); err != nil {
		return ""
	}
	block, err := s.store.Block(ctx, job.CID(owner), nil)
	if err != nil {
		return ""
	}
	man, err := job.DecodeManifest(block)
	if err != nil {
		return ""
	}
	return man.Name
}

// VerifyStore reads all that is there, and removes what is damaged. A job that needs
// it gets it again.
func (s *Storage) VerifyStore(ctx context.Context) (StorageVerified, error) {
	checked, damaged, err := s.store.Verify(ctx)
	if damaged == nil {
		damaged = []job.CID{}
	}
	return StorageVerified{checked.Blocks, checked.Bytes, damaged}, err
}

// CollectStore lets go what nothing needs, as far as is asked for.
func (s *Storage) CollectStore(ctx context.Context, req CollectRequest) (done StorageCollected, err error) {
	done.DryRun = req.DryRun
	used, err := s.store.Usage(ctx)
	if err != nil {
		return done, err
	}
	keep, wanted := uint64(keepBytes), uint64(minFree)
	if req.Quota != nil {
		keep = *req.Quota
	}
	if req.MinFree != nil {
		wanted = *req.MinFree
	}
	if free, known := s.free(); known && free < wanted {
		keep = min(keep, used-min(used, wanted-free))
	}
	do := s.store.Collect
	if req.DryRun {
		do = s.store.Collectable
	}
	done.Freed, err = do(ctx, keep)
	done.Left = used - min(used, done.Freed)
	return done, err
}

// growBytes is how much the store may grow above keepBytes before it is collected,
// and between collections.
const growBytes = 256 << 20

// lookAtStore collects when peers have made the store grow: what they offer is stored
// before it can be said what it is good for.
func (n *Node) lookAtStore() {
	used, err := n.parts.Store.Usage(n.ctx)
	if err != nil || used < max(keepBytes, n.swept.Load())+growBytes {
		return
	}
	if err := n.makeRoom(n.ctx); err != nil && n.ctx.Err() == nil {
		n.log.Warn("old blocks not collected", "err", err)
	}
}

// makeRoom lets go what no job needs when the store or the disk is too full.
func (n *Node) makeRoom(ctx context.Context) error {
	done, err := n.Storage().CollectStore(ctx, CollectRequest{})
	n.swept.Store(done.Left)
	if done.Freed > 0 {
		n.log.Info("blocks collected that no job needs", "bytes", done.Freed, "left", done.Left)
	}
	return err
}
