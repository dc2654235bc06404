// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"sync"
	"time"

	"meshnode/job"
)

// core is a [Store] over a medium. It owns the index, which is all there is to
// know of the blocks short of their bytes: sizes, recency, what is proven of
// each, who holds it, who pins it.
//
// Locks, in the order they are taken: collecting, one of stripes, mu. Nothing
// waits for the medium under mu.
type core struct {
	medium   medium
	exchange Exchange // nil: local only

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	calls  sync.WaitGroup // calls in progress

	collecting sync.Mutex                  // a pin is set before a collection, or after it
	pins       map[string]map[job.CID]bool // by owner; guarded by collecting

	stripes [64]sync.Mutex // one writer or remover of a block at a time
	seed    maphash.Seed

	mu     sync.Mutex
	closed bool
	blocks map[job.CID]*entry
	bytes  uint64          // of all blocks
	held   map[job.CID]int // by calls in progress: not to be collected
	last   int64           // the latest entry.used
}

// entry is one block in the index. A block that is written again gets a new
// one, so that a pointer stands for certain bytes.
type entry struct {
	size    int64
	used    int64 // last use, in Unix ns, no two the same; 0: none yet
	checked bool  // this process has compared the bytes with the CID
	synced  bool  // this process has made them durable
}

// medium is where a core keeps bytes and pins. It checks nothing and knows
// nothing of what it keeps. Calls for different blocks may be concurrent.
type medium interface {
	// read returns an error that wraps fs.ErrNotExist for a block that is not
	// there.
	read(cid job.CID) ([]byte, error)

	// write stores a block, or replaces it, at once or not at all as far as
	// read can see. It need not survive a power cut. data may be kept: nobody
	// changes it afterwards.
	write(cid job.CID, data []byte) error

	remove(cid job.CID) error

	// sync makes written blocks survive a power cut.
	sync(cids []job.CID) error

	// pin and unpin are durable when they return.
	pin(owner string, cids []job.CID) error
	unpin(owner string) error

	// free returns the bytes that can still be written.
	free() (uint64, error)

	// close is told when each block was last used, in Unix ns, if it was since
	// the medium was opened.
	close(used map[job.CID]int64) error
}

// newCore takes over the medium and the exchange: Close closes both.
func newCore(m medium, blocks map[job.CID]*entry, pins map[string]map[job.CID]bool, x Exchange) *core {
	c := &core{
		medium:   m,
		exchange: x,
		seed:     maphash.MakeSeed(),
		blocks:   blocks,
		held:     make(map[job.CID]int),
		pins:     pins,
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, e := range blocks {
		c.bytes += uint64(e.size)
		c.last = max(c.last, e.used)
	}
	if x != nil {
		x.Serve(served{c})
	}
	return c
}

// begin opens a call: its context also ends with Close, which waits for end.
func (c *core) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	c.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		c.calls.Done()
	}, nil
}

// Close implements [Store].
func (c *core) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		return nil
	}
	c.cancel()
	var errs []error
	if c.exchange != nil {
		errs = append(errs, c.exchange.Close())
	}
	c.calls.Wait()

	used := make(map[job.CID]int64)
	for cid, e := range c.blocks {
		if e.checked { // only this process sets it, with the first use
			used[cid] = e.used
		}
	}
	return errors.Join(append(errs, c.medium.close(used))...)
}

// served is a core as its exchange sees it.
type served struct{ core *core }

// Size implements [Local].
func (s served) Size(cid job.CID) (int, bool) {
	e := s.core.entry(cid)
	if e == nil {
		return 0, false
	}
	return int(e.size), true
}

// Get implements [Local].
func (s served) Get(ctx context.Context, cid job.CID) ([]byte, error) {
	_, end, err := s.core.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return s.core.read(cid)
}

// check is the one place where a digest is compared: [core.sound] calls it for
// every block that leaves the medium, [core.admit] for every block that comes
// from a peer.
func check(cid job.CID, data []byte) error {
	if job.CIDOf(data) != cid {
		return fmt.Errorf("%w: %s", ErrCorrupt, cid)
	}
	return nil
}

// read returns a local block, and notes that it was used.
func (c *core) read(cid job.CID) ([]byte, error) {
	data, e, err := c.sound(cid)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.used = c.now()
	return data, nil
}

// sound returns a local block and its entry. Bytes that do not match are removed.
func (c *core) sound(cid job.CID) ([]byte, *entry, error) {
	e := c.entry(cid)
	if e == nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrNotFound, cid)
	}
	data, err := c.medium.read(cid)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("blockstore: read block %s: %w", cid, err)
	}
	if err == nil {
		err = check(cid, data)
	}
	if err != nil {
		if _, err := c.remove(cid, func(now *entry) bool { return now == e }); err != nil {
			return nil, nil, err
		}
		return nil, nil, fmt.Errorf("%w: %s", ErrCorrupt, cid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.checked = true
	return data, e, nil
}

// admit stores a block that came from a peer, of exactly size bytes.
func (c *core) admit(b Block, size int64) error {
	if int64(len(b.Data)) != size {
		return fmt.Errorf("%w: block %s has %d bytes where its file set says %d", job.ErrInvalid, b.CID, len(b.Data), size)
	}
	if err := check(b.CID, b.Data); err != nil {
		return err
	}
	return c.write(b.CID, b.Data)
}

// write stores data, of which cid is known to be the address, unless it is here
// already and known to be good.
func (c *core) write(cid job.CID, data []byte) error {
	stripe := c.stripe(cid)
	stripe.Lock()
	defer stripe.Unlock()
	c.mu.Lock()
	old := c.blocks[cid]
	if old != nil && old.checked {
		old.used = c.now()
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	if err := c.medium.write(cid, data); err != nil {
		return fmt.Errorf("blockstore: write block %s: %w", cid, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old != nil {
		c.bytes -= uint64(old.size)
	}
	c.blocks[cid] = &entry{size: int64(len(data)), used: c.now(), checked: true}
	c.bytes += uint64(len(data))
	return nil
}

// remove deletes a block if its entry, under lock, still satisfies ok, and
// returns its size.
func (c *core) remove(cid job.CID, ok func(*entry) bool) (freed int64, err error) {
	stripe := c.stripe(cid)
	stripe.Lock()
	defer stripe.Unlock()
	c.mu.Lock()
	e := c.blocks[cid]
	if e == nil || !ok(e) {
		c.mu.Unlock()
		return 0, nil
	}
	delete(c.blocks, cid)
	c.bytes -= uint64(e.size)
	c.mu.Unlock()
	if err := c.medium.remove(cid); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("blockstore: remove block %s: %w", cid, err)
	}
	return e.size, nil
}

// flush makes blocks durable. Other calls may have written some of them, so
// what matters is what is known of each, not who wrote it.
func (c *core) flush(cids []job.CID) error {
	entries := make(map[job.CID]*entry)
	c.mu.Lock()
	for _, cid := range cids {
		if e := c.blocks[cid]; e != nil && !e.synced {
			entries[cid] = e
		}
	}
	c.mu.Unlock()
	todo := make([]job.CID, 0, len(entries))
	for cid := range entries {
		todo = append(todo, cid)
	}
	if err := c.medium.sync(todo); err != nil {
		// After a failed sync the system may drop the bytes and let the next one
		// succeed: forget the blocks, so that they are written again.
		for cid, e := range entries {
			_, _ = c.remove(cid, func(now *entry) bool { return now == e })
		}
		return fmt.Errorf("blockstore: sync %d blocks: %w", len(todo), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		e.synced = true
	}
	return nil
}

// hold keeps blocks, here or to come, from being collected until release.
func (c *core) hold(cids ...job.CID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cid := range cids {
		c.held[cid]++
	}
}

func (c *core) release(cids ...job.CID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cid := range cids {
		if c.held[cid]--; c.held[cid] == 0 {
			delete(c.held, cid)
		}
	}
}

// room returns an error if size more bytes would leave less than MinFree.
func (c *core) room(size uint64) error {
	free, err := c.medium.free()
	if err != nil {
		return fmt.Errorf("blockstore: ask for free space: %w", err)
	}
	if free < size || free-size < MinFree {
		return fmt.Errorf("%w: %d bytes to store, %d free, %d of them to stay free: make room on the disk",
			ErrFull, size, free, uint64(MinFree))
	}
	return nil
}

func (c *core) entry(cid job.CID) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocks[cid]
}

func (c *core) stripe(cid job.CID) *sync.Mutex {
	return &c.stripes[maphash.String(c.seed, string(cid))%uint64(len(c.stripes))]
}

// now returns the time, later than any time it returned before. mu is held.
func (c *core) now() int64 {
	c.last = max(c.last+1, time.Now().UnixNano())
	return c.last
}

// Usage implements [Store].
func (c *core) Usage(ctx context.Context) (uint64, error) {
	_, end, err := c.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes, nil
}
