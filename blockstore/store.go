// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"io"
	"os"

	"meshnode/job"
)

// Store holds the blocks of a node and fetches missing ones from its peers. Two
// implementations pass the same conformance suite: [Disk] and [Memory].
//
// A file set is the unit of everything: a job's inputs, or a cell's output. The
// digest of a block is checked in one place of each implementation, when a
// block is received and whenever it is read; a caller never sees bytes that do
// not match their CID.
//
// All methods are safe for concurrent use.
type Store interface {
	// PutBlock stores one block of at most job.MaxManifest bytes.
	PutBlock(ctx context.Context, block []byte) (job.CID, error)

	// Block returns a block, fetched from those peers when it is not here. ctx
	// must have a deadline when from is not empty.
	Block(ctx context.Context, cid job.CID, from []job.PeerID) ([]byte, error)

	// Import cuts files into blocks and stores them and the set's own block. It
	// returns when all of it is on disk (synced).
	Import(ctx context.Context, files []Source) (job.CID, *job.FileSet, error)

	// Fetch makes every block of the set local, asking those peers, and any
	// other that has them. Nothing larger than limit bytes is begun. ctx must
	// have a deadline.
	Fetch(ctx context.Context, set job.CID, from []job.PeerID, limit uint64) (*job.FileSet, error)

	// Export writes the files of a local set under root, which must be empty or
	// hold none of their names. Files get mode 0600, folders 0700.
	Export(ctx context.Context, set job.CID, root *os.Root) error

	// Pin keeps the blocks of the sets, and plain blocks, from being collected,
	// until Unpin of the same owner (a job id). Pins survive a restart.
	Pin(ctx context.Context, owner string, cids ...job.CID) error
	Unpin(ctx context.Context, owner string) error

	// Collect deletes blocks that are not pinned, least recently used first,
	// until at most keep bytes remain, and returns the bytes freed.
	Collect(ctx context.Context, keep uint64) (freed uint64, err error)

	// Usage returns the bytes stored.
	Usage(ctx context.Context) (uint64, error)

	// Close flushes and releases the store. Reads in flight fail.
	Close() error
}

// Source is a file to import: Open is called once, and at most Size bytes are
// read; fewer or more are an error.
type Source struct {
	Path string // in the set; see job.CheckPath
	Size int64  // bytes
	Open func() (io.ReadCloser, error)
}

// ErrNotFound is wrapped when a block is neither here nor at any peer asked in
// time.
var ErrNotFound = errors.New("blockstore: block not found")

// ErrCorrupt is wrapped when stored bytes do not match their CID and no peer
// had better ones. The bad block has been removed from the store.
var ErrCorrupt = errors.New("blockstore: block damaged")

// ErrLimit is wrapped when a set or a block is larger than allowed.
var ErrLimit = errors.New("blockstore: too large")
