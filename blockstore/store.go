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
// digest of a block is checked in one place, when the block is received and
// whenever it is read; a caller never sees bytes that do not match their CID.
//
// What a method has stored is durable when the method returns: it survives a
// crash of the process and, on Disk, a power cut.
//
// All methods are safe for concurrent use. After Close they return [ErrClosed].
type Store interface {
	// PutBlock stores one block of 1 to job.MaxBlock bytes.
	PutBlock(ctx context.Context, block []byte) (job.CID, error)

	// Block returns a block, fetched from those peers when it is not here or
	// damaged. One that was fetched is the first to be collected, until it is
	// read again or pinned. ctx must have a deadline when from is not empty. The bytes are
	// not the caller's to change.
	Block(ctx context.Context, cid job.CID, from []job.PeerID) ([]byte, error)

	// Import cuts files into blocks and stores them and the set's own block.
	// Limits on paths, counts and sizes are checked before a file is opened.
	Import(ctx context.Context, files []Source) (job.CID, *job.FileSet, error)

	// Fetch makes every block of the set local and sound, asking those peers,
	// and any other that has them. A set of more than limit bytes is not begun.
	// ctx must have a deadline. Blocks that did arrive before an error are kept.
	Fetch(ctx context.Context, set job.CID, from []job.PeerID, limit uint64) (*job.FileSet, error)

	// Export writes the files of a local set under root, which must be empty or
	// hold none of their names. Files get mode 0600, folders 0700. It overwrites
	// nothing, follows no symlink, and does not sync. After an error nothing of
	// the set is left under root.
	Export(ctx context.Context, set job.CID, root *os.Root) error

	// Pin keeps the blocks of the sets, and plain blocks, from being collected,
	// until Unpin of the same owner: a job id, or another name of at most 128
	// letters, digits, "-" and "_". It adds to the owner's pins. What is not
	// here yet can be pinned. Pins survive a restart.
	Pin(ctx context.Context, owner string, cids ...job.CID) error
	Unpin(ctx context.Context, owner string) error

	// Owners returns who has pins, sorted.
	Owners(ctx context.Context) ([]string, error)

	// Collect deletes blocks that are not pinned, least recently used first,
	// until at most keep bytes remain, and returns the bytes freed. Blocks of
	// calls in progress stay.
	Collect(ctx context.Context, keep uint64) (freed uint64, err error)

	// Collectable returns the bytes that Collect would free now.
	Collectable(ctx context.Context, keep uint64) (bytes uint64, err error)

	// Survey counts what is here, and who has pinned how much of it.
	Survey(ctx context.Context) (*Holdings, error)

	// Verify reads all blocks, and removes and returns those whose bytes do not match
	// their CID. It is no use of a block: what Collect deletes first stays the same.
	Verify(ctx context.Context) (checked Amount, damaged []job.CID, err error)

	// Usage returns the bytes of all blocks.
	Usage(ctx context.Context) (uint64, error)

	// Close ends the calls in progress, and closes the exchange.
	Close() error
}

// MinFree is the bytes of disk that a store leaves free: Import, Fetch and Block
// refuse what would leave less.
const MinFree = 256 << 20

// Source is a file to import: Open is called once, and at most Size bytes are
// read; fewer or more are an error.
type Source struct {
	Path string // in the set; see job.CheckPath
	Size int64  // bytes
	Open func() (io.ReadCloser, error)
}

// ErrNotFound is wrapped when a block is neither here nor at any peer asked in
// time. The context's error is wrapped too if it ended the search.
var ErrNotFound = errors.New("blockstore: block not found")

// ErrCorrupt is wrapped when stored bytes do not match their CID and no peer
// had better ones. The bad block has been removed from the store.
var ErrCorrupt = errors.New("blockstore: block damaged")

// ErrLimit is wrapped when a set or a block is larger than allowed.
var ErrLimit = errors.New("blockstore: too large")

// ErrFull is wrapped when the disk has no room for what is to be stored.
var ErrFull = errors.New("blockstore: disk full")

// ErrClosed is returned after Close, and by calls that Close has ended.
var ErrClosed = errors.New("blockstore: store closed")
