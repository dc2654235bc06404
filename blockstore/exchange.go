// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"

	"meshnode/job"
)

// Exchange is what a [Store] needs of the network: blocks from other nodes, and
// somebody to answer theirs. [Bitswap] is the one between machines, [Loopback]
// the one inside a process; both pass the same conformance suite.
type Exchange interface {
	// Serve sets what other nodes may ask for. The store calls it once, before
	// any Fetch.
	Serve(local Local)

	// Fetch asks the peers in from, and any other that is connected, for
	// blocks, and delivers those it gets in any order, each once. A peer that
	// does not answer, or answers with other bytes, delays its blocks until the
	// next peer is asked, no longer.
	//
	// The channel is closed when all blocks are delivered, when no peer is left
	// to ask, or soon after ctx ends. A caller that stops reading must end ctx.
	// No more than a few tens of blocks wait to be read.
	Fetch(ctx context.Context, cids []job.CID, from []job.PeerID) <-chan Block

	// Close ends every fetch, and answers nobody any more.
	Close() error
}

// Local is the blocks that a node has.
type Local interface {
	// Size returns the bytes of a block, and whether it is here.
	Size(cid job.CID) (int, bool)

	// Get returns a block that is here, or an error that wraps [ErrNotFound] or
	// [ErrCorrupt]. It returns soon after ctx ends. The bytes are not the
	// caller's to change.
	Get(ctx context.Context, cid job.CID) ([]byte, error)
}

// Block is a block and its address. Nothing is promised of their agreement: the
// receiver checks.
type Block struct {
	CID  job.CID
	Data []byte
}
