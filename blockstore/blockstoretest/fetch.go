// SPDX-License-Identifier: MIT

package blockstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
)

func (s Suite) fetch(t *testing.T) {
	CheckGoroutines(t)
	join := s.Mesh(t)
	giver, from := s.node(t, join)
	_, to := s.node(t, join)
	files := edges()
	cid, set := importSet(t, from, files)
	got, err := to.Fetch(deadline(t, wait), cid, []job.PeerID{giver}, set.Size())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got.Files, set.Files, func(a, b job.File) bool { return a.Path == b.Path && slices.Equal(a.Blocks, b.Blocks) }) {
		t.Error("another set was fetched")
	}
	closeStore(t, from)
	wantExport(t, to, cid, files)
	if _, err := to.Fetch(deadline(t, wait), cid, nil, set.Size()); err != nil {
		t.Errorf("fetch of what is here: %v", err)
	}
}

func (s Suite) fetchBlock(t *testing.T) {
	join := s.Mesh(t)
	giver, from := s.node(t, join)
	_, to := s.node(t, join)
	data := Bytes(1, job.MaxBlock)
	cid := put(t, from, data)
	_, err := to.Block(deadline(t, wait), cid, nil)
	wantError(t, "without peers", err, blockstore.ErrNotFound)
	got, err := to.Block(deadline(t, wait), cid, []job.PeerID{giver})
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
	wantBlock(t, to, data)

	s.Damage(t, to, cid, []byte("damaged"))
	got, err = to.Block(deadline(t, wait), cid, []job.PeerID{giver})
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("after damage %d bytes, error %v", len(got), err)
	}
	wantBlock(t, to, data)

	closeStore(t, from)
	s.Damage(t, to, cid, []byte("damaged"))
	_, err = to.Block(deadline(t, time.Second), cid, []job.PeerID{giver})
	wantError(t, "damaged, and nobody has it", err, blockstore.ErrCorrupt)
}

func (s Suite) fetchRefuses(t *testing.T) {
	join := s.Mesh(t)
	giver, from := s.node(t, join)
	_, to := s.node(t, join)
	peers := []job.PeerID{giver}
	data := Bytes(1, 100)
	cid, set := importSet(t, from, map[string][]byte{"a": data, "b": Bytes(1, job.MaxBlock)})

	if _, err := to.Fetch(t.Context(), cid, peers, 1<<30); err == nil {
		t.Error("a fetch without a deadline was accepted")
	}
	_, err := to.Fetch(deadline(t, wait), cid, peers, set.Size()-1)
	wantError(t, "above the limit", err, blockstore.ErrLimit)
	block, _, err := set.Block()
	if err != nil {
		t.Fatal(err)
	}
	wantUsage(t, to, len(block)) // nothing of the set was begun

	_, err = to.Fetch(deadline(t, wait), put(t, from, []byte("not a set")), peers, 1<<30)
	wantError(t, "not a set", err, job.ErrInvalid)
	_, err = to.Fetch(deadline(t, wait), "../x", peers, 1<<30)
	wantError(t, "not a CID", err, job.ErrCID)

	block1 := []job.CID{job.CIDOf(data)}
	wrong := putSet(t, from, job.File{Path: "a", Size: 99, Blocks: block1})
	_, err = to.Fetch(deadline(t, wait), wrong, peers, 1<<30)
	wantError(t, "wrong size", err, job.ErrInvalid)
	put(t, to, data)
	_, err = to.Fetch(deadline(t, wait), wrong, peers, 1<<30)
	wantError(t, "wrong size of a block that is here", err, job.ErrInvalid)
	two := putSet(t, from, job.File{Path: "a", Size: 100, Blocks: block1}, job.File{Path: "b", Size: 99, Blocks: block1})
	_, err = to.Fetch(deadline(t, wait), two, peers, 1<<30)
	wantError(t, "two sizes", err, job.ErrInvalid)
}

func (s Suite) fetchNowhere(t *testing.T) {
	join := s.Mesh(t)
	giver, from := s.node(t, join)
	_, to := s.node(t, join)
	set := putSet(t, from, job.File{Path: "a", Size: 10, Blocks: []job.CID{job.CIDOf([]byte("nowhere"))}})
	for name, cid := range map[string]job.CID{"set": job.CIDOf([]byte("nowhere")), "block of a set": set} {
		start := time.Now()
		_, err := to.Fetch(deadline(t, time.Second), cid, []job.PeerID{giver, "not a peer id"}, 1<<30)
		wantError(t, name, err, blockstore.ErrNotFound)
		if took := time.Since(start); took > wait/2 {
			t.Errorf("%s: it took %v to give up", name, took)
		}
	}
}

func (s Suite) fetchHalves(t *testing.T) {
	join := s.Mesh(t)
	oneID, one := s.node(t, join)
	twoID, two := s.node(t, join)
	_, to := s.node(t, join)
	files := map[string][]byte{"a": Bytes(1, 20*job.MaxBlock)}
	cid, set := importSet(t, one, files)
	// Neither has everything.
	for i, c := range set.Blocks() {
		block, err := one.Block(t.Context(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			put(t, two, block)
			s.Damage(t, one, c, []byte("damaged"))
			_, _ = one.Block(t.Context(), c, nil)
		}
	}
	if _, err := to.Fetch(deadline(t, wait), cid, []job.PeerID{oneID, twoID}, set.Size()); err != nil {
		t.Fatal(err)
	}
	wantExport(t, to, cid, files)
}

func (s Suite) fetchTwiceAtOnce(t *testing.T) {
	join := s.Mesh(t)
	giver, from := s.node(t, join)
	_, to := s.node(t, join)
	files := map[string][]byte{"a": Bytes(1, 10*job.MaxBlock)}
	cid, set := importSet(t, from, files)
	ctx := deadline(t, wait)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := to.Fetch(ctx, cid, []job.PeerID{giver}, set.Size()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantExport(t, to, cid, files)
}

func (s Suite) fetchHeals(t *testing.T) {
	join := s.Mesh(t)
	giver, from := s.node(t, join)
	_, to := s.node(t, join)
	files := edges()
	cid, set := importSet(t, from, files)
	importSet(t, to, files)
	s.Damage(t, to, cid, []byte("damaged set"))
	s.Damage(t, to, set.Blocks()[1], []byte("damaged block"))
	_, root := newRoot(t)
	for range 2 { // one finds the set, one the block
		_ = to.Export(t.Context(), cid, root)
		if _, err := to.Fetch(deadline(t, wait), cid, []job.PeerID{giver}, set.Size()); err != nil {
			t.Fatal(err)
		}
	}
	wantExport(t, to, cid, files)
}

// wrapped is the blocks of a store, with other manners.
type wrapped struct {
	store blockstore.Store
	get   func(ctx context.Context, data []byte) ([]byte, error)
}

func (w wrapped) Size(cid job.CID) (int, bool) {
	data, err := w.store.Block(context.Background(), cid, nil)
	return len(data), err == nil
}

func (w wrapped) Get(ctx context.Context, cid job.CID) ([]byte, error) {
	data, err := w.store.Block(ctx, cid, nil)
	if err != nil {
		return nil, err
	}
	return w.get(ctx, data)
}

// bad adds a node to the mesh that has the files, and gives what get returns.
func (s Suite) bad(t testing.TB, join func() (job.PeerID, blockstore.Exchange), files map[string][]byte,
	get func(ctx context.Context, data []byte) ([]byte, error)) (job.PeerID, blockstore.Exchange) {
	st := s.local(t)
	importSet(t, st, files)
	id, x := join()
	x.Serve(wrapped{st, get})
	t.Cleanup(func() { _ = x.Close() })
	return id, x
}

func stalled(ctx context.Context, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s Suite) fetchFromLiar(t *testing.T) {
	join := s.Mesh(t)
	files := map[string][]byte{"a": Bytes(1, 3*job.MaxBlock), "b": Bytes(2, 100)}
	liar, _ := s.bad(t, join, files, func(_ context.Context, data []byte) ([]byte, error) {
		data = bytes.Clone(data)
		data[0]++
		return data, nil
	})
	_, to := s.node(t, join)
	st := s.local(t)
	cid, set := importSet(t, st, files)
	_, err := to.Fetch(deadline(t, time.Second), cid, []job.PeerID{liar}, set.Size())
	wantError(t, "from a liar only", err, blockstore.ErrNotFound)
	wantUsage(t, to, 0)

	honest, from := s.node(t, join)
	importSet(t, from, files)
	if _, err := to.Fetch(deadline(t, wait), cid, []job.PeerID{liar, honest}, set.Size()); err != nil {
		t.Fatal(err)
	}
	wantExport(t, to, cid, files)
}

func (s Suite) fetchFromStalled(t *testing.T) {
	for _, after := range []int32{0, 5} {
		t.Run(fmt.Sprintf("after %d", after), func(t *testing.T) {
			join := s.Mesh(t)
			files := map[string][]byte{"a": Bytes(1, 20*job.MaxBlock), "b": Bytes(2, 100)}
			var given atomic.Int32
			silent, _ := s.bad(t, join, files, func(ctx context.Context, data []byte) ([]byte, error) {
				if given.Add(1) > after {
					return stalled(ctx, data)
				}
				return data, nil
			})
			_, to := s.node(t, join)
			live, from := s.node(t, join)
			cid, set := importSet(t, from, files)
			if _, err := to.Fetch(deadline(t, wait), cid, []job.PeerID{silent, live}, set.Size()); err != nil {
				t.Fatal(err)
			}
			wantExport(t, to, cid, files)
		})
	}
}

// fetchFromLost loses the peer in the middle of a fetch.
func (s Suite) fetchFromLost(t *testing.T) {
	join := s.Mesh(t)
	files := map[string][]byte{"a": Bytes(1, 40*job.MaxBlock)}
	var given atomic.Int32
	gone := make(chan struct{})
	var once sync.Once
	lost, x := s.bad(t, join, files, func(ctx context.Context, data []byte) ([]byte, error) {
		if given.Add(1) > 10 {
			once.Do(func() { close(gone) })
			return stalled(ctx, data)
		}
		return data, nil
	})
	_, to := s.node(t, join)
	other, from := s.node(t, join)
	cid, set := importSet(t, from, files)
	var wg sync.WaitGroup
	ctx := deadline(t, wait)
	wg.Go(func() {
		select {
		case <-gone:
			_ = x.Close()
		case <-ctx.Done(): // it was never asked for so many
		}
	})
	_, err := to.Fetch(ctx, cid, []job.PeerID{lost, other}, set.Size())
	if err != nil {
		t.Error(err)
	}
	once.Do(func() { close(gone) })
	wg.Wait()
	wantExport(t, to, cid, files)
}

func (s Suite) fetchEndsWithClose(t *testing.T) {
	CheckGoroutines(t)
	join := s.Mesh(t)
	files := map[string][]byte{"a": Bytes(1, 2*job.MaxBlock)}
	asked := make(chan struct{})
	var once sync.Once
	silent, _ := s.bad(t, join, files, func(ctx context.Context, data []byte) ([]byte, error) {
		once.Do(func() { close(asked) })
		return stalled(ctx, data)
	})
	_, to := s.node(t, join)
	cid, set := importSet(t, s.local(t), files)
	done := make(chan error)
	go func() {
		_, err := to.Fetch(deadline(t, 10*wait), cid, []job.PeerID{silent}, set.Size())
		done <- err
	}()
	<-asked
	closeStore(t, to)
	select {
	case err := <-done:
		wantError(t, "fetch when the store closes", err, blockstore.ErrClosed)
	case <-time.After(wait):
		t.Fatal("fetch goes on after the store has closed")
	}
}

// collectSparesFetch collects while a fetch is between two blocks.
func (s Suite) collectSparesFetch(t *testing.T) {
	join := s.Mesh(t)
	files := map[string][]byte{"a": Bytes(1, 12*job.MaxBlock)}
	_, to := s.node(t, join)
	var given atomic.Int32
	giver, _ := s.bad(t, join, files, func(ctx context.Context, data []byte) ([]byte, error) {
		if given.Add(1)%4 == 0 {
			if _, err := to.Collect(ctx, 0); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		return data, nil
	})
	cid, set := importSet(t, s.local(t), files)
	if _, err := to.Fetch(deadline(t, wait), cid, []job.PeerID{giver}, set.Size()); err != nil {
		t.Fatal(err)
	}
	wantExport(t, to, cid, files)
}
