// SPDX-License-Identifier: MIT

package blockstore

import (
	"io"
	"strings"
	"testing"
	"time"

	"meshnode/job"
)

// What is stored while a collection runs, and whose pin waits for its end, stays.
func TestPinDuringCollection(t *testing.T) {
	st := NewMemory(nil)
	defer st.Close()
	source := Source{Path: "a", Size: 3, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("abc")), nil }}
	cid, set, err := st.Import(t.Context(), []Source{source})
	if err != nil {
		t.Fatal(err)
	}
	c := st.core
	c.collecting.Lock()
	candidates, err := c.collectable(t.Context(), 0)
	if err != nil || len(candidates) != 2 {
		t.Fatalf("%d blocks may go: %v", len(candidates), err)
	}
	pinned := make(chan error, 1)
	go func() { pinned <- st.Pin(t.Context(), "owner", cid) }()
	held := func(cid job.CID) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.held[cid] > 0
	}
	for end := time.Now().Add(20 * time.Second); !held(set.Blocks()[0]); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a pin that waits holds nothing")
		}
	}
	for _, old := range candidates {
		if _, err := c.collectOne(old); err != nil {
			t.Fatal(err)
		}
	}
	c.collecting.Unlock()
	if err := <-pinned; err != nil {
		t.Fatal(err)
	}
	for _, cid := range []job.CID{cid, set.Blocks()[0]} {
		if _, err := st.Block(t.Context(), cid, nil); err != nil || held(cid) {
			t.Errorf("%s: %v, held: %v", cid, err, held(cid))
		}
	}
}
