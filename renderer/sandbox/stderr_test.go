// SPDX-License-Identifier: MIT

package sandbox

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// The tail of any sequence of writes is the end of them all.
func TestTail(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var kept tail
	var all []byte
	for range 200 {
		p := make([]byte, random.IntN(tailSize/4))
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		all = append(all, p...)
		if n := kept.add(p); n != int64(len(all)) {
			t.Fatalf("seed %d: %d bytes counted of %d", seed, n, len(all))
		}
		want := all[max(0, len(all)-tailSize):]
		if got := kept.bytes(); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %d bytes kept, want the last %d", seed, len(got), len(want))
		}
		if cap(kept.text) > 8*tailSize {
			t.Fatalf("seed %d: holds %d bytes", seed, cap(kept.text))
		}
	}
}

// Draining goes on past the limit, so that the job does not block, and after
// the reader of the copy has left.
func TestDrain(t *testing.T) {
	var kept tail
	told := 0
	printed := bytes.Repeat([]byte("x"), 300<<10)
	kept.drain(bytes.NewReader(printed), failing{}, 100<<10, func() { told++ })
	if told != 1 || kept.full != int64(len(printed)) {
		t.Errorf("told %d times, drained %d of %d", told, kept.full, len(printed))
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("gone") }
