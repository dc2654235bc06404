// SPDX-License-Identifier: MIT

package job

import (
	"fmt"
	"slices"
	"testing"
)

// bits is the oracle: a set of cells below 64.
type bits uint64

func (b bits) ranges() Ranges {
	var cells []uint32
	for i := range uint32(64) {
		if b>>i&1 == 1 {
			cells = append(cells, i)
		}
	}
	return RangesOf(cells...)
}

func (b bits) check(s Ranges) error {
	if !s.Valid(64) {
		return fmt.Errorf("%v is not canonical", s)
	}
	var got bits
	last := -1
	for c := range s.Cells() {
		if int(c) <= last {
			return fmt.Errorf("%v yields %d after %d", s, c, last)
		}
		last = int(c)
		got |= 1 << c
	}
	if got != b {
		return fmt.Errorf("%v is %064b, want %064b", s, got, b)
	}
	n := 0
	for i := range uint32(64) {
		if s.Has(i) != (b>>i&1 == 1) {
			return fmt.Errorf("%v.Has(%d) = %v", s, i, s.Has(i))
		}
		if s.Has(i) {
			n++
		}
	}
	if s.Len() != n {
		return fmt.Errorf("%v.Len() = %d, want %d", s, s.Len(), n)
	}
	return nil
}

func FuzzRanges(f *testing.F) {
	f.Add(uint64(0), uint64(0))
	f.Add(uint64(0b1011_0111), uint64(0b0100_1000))
	f.Add(^uint64(0), uint64(1)<<63|1)
	f.Add(uint64(0xff00ff00), uint64(0x0ff00ff0))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		x, y := bits(a).ranges(), bits(b).ranges()
		before := slices.Clone(x)
		for _, c := range []struct {
			name string
			got  Ranges
			want bits
		}{
			{"RangesOf", x, bits(a)},
			{"Union", x.Union(y), bits(a | b)},
			{"Minus", x.Minus(y), bits(a &^ b)},
		} {
			if err := c.want.check(c.got); err != nil {
				t.Errorf("%s of %v and %v: %v", c.name, x, y, err)
			}
		}
		if !slices.Equal(x, before) {
			t.Errorf("%v was changed to %v", before, x)
		}
	})
}

func TestRangesValid(t *testing.T) {
	for _, s := range []Ranges{{{2, 2}}, {{3, 2}}, {{0, 1}, {1, 2}}, {{5, 6}, {0, 1}}, {{0, 11}}, {{0, 5}, {3, 8}}} {
		if s.Valid(10) {
			t.Errorf("%v is valid", s)
		}
	}
	for _, s := range []Ranges{nil, {{0, 10}}, {{0, 1}, {2, 3}}} {
		if !s.Valid(10) {
			t.Errorf("%v is not valid", s)
		}
	}
}
