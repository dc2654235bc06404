// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// pinSelfTests owns the blocks with the pictures of this node's self-tests.
const pinSelfTests = "self-tests"

// keepPictures makes the pictures of a self-test a block that peers can fetch.
func (n *Node) keepPictures(ctx context.Context, result *renderer.SelfTest) error {
	if len(result.Pictures) == 0 {
		return nil
	}
	cid, err := n.parts.Store.PutBlock(ctx, result.Pictures)
	if err == nil {
		err = n.parts.Store.Pin(ctx, pinSelfTests, cid)
	}
	if err != nil {
		return fmt.Errorf("pictures of the self-test: %w", err)
	}
	return nil
}

// compareTime bounds the fetch of two blocks of at most 1 MiB.
const compareTime = 30 * time.Second

// compare fetches and compares the pictures of two self-tests.
func (n *Node) compare(a scheduler.Compare) {
	ctx, cancel := context.WithTimeout(n.ctx, compareTime)
	defer cancel()
	defer n.lookAtStore()
	from := []job.PeerID{a.From}
	ours, err := n.parts.Store.Block(ctx, a.A, from)
	var theirs []byte
	if err == nil {
		theirs, err = n.parts.Store.Block(ctx, a.B, from)
	}
	if err != nil {
		n.log.Warn("pictures not compared", "with", n.nameOf(a.From), "err", err)
		n.post(scheduler.Compared{A: a.A, B: a.B, Err: errors.Join(job.ErrCompare, err)})
		return
	}
	err = renderer.Compare(ours, theirs)
	n.log.Info("pictures compared", "with", n.nameOf(a.From), "alike", err == nil, "differ", err)
	n.post(scheduler.Compared{A: a.A, B: a.B, Err: err})
}
