// SPDX-License-Identifier: MIT

package job

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Range is the half-open run of cells [A, B).
type Range struct {
	A uint32 `cbor:"0,keyasint" json:"a"`
	B uint32 `cbor:"1,keyasint" json:"b"`
}

// Len returns the number of cells in the range.
func (r Range) Len() int {
	if r.B <= r.A {
		return 0
	}
	return int(r.B - r.A)
}

// Has reports whether cell is in the range.
func (r Range) Has(cell uint32) bool { return r.A <= cell && cell < r.B }

// String returns "[A,B)".
func (r Range) String() string { return fmt.Sprintf("[%d,%d)", r.A, r.B) }

// Ranges is a set of cells as sorted, disjoint, non-adjacent, non-empty ranges.
// The zero value is the empty set.
type Ranges []Range

// RangesOf returns the set of the given cells, in any order.
func RangesOf(cells ...uint32) Ranges {
	cells = slices.Clone(cells)
	slices.Sort(cells)
	var set Ranges
	for _, c := range cells {
		if n := len(set); n > 0 && c <= set[n-1].B {
			set[n-1].B = max(set[n-1].B, c+1)
			continue
		}
		set = append(set, Range{c, c + 1})
	}
	return set
}

// Valid reports whether the set is in its one canonical form and below limit.
func (s Ranges) Valid(limit uint32) bool {
	for i, r := range s {
		if r.A >= r.B || r.B > limit || i > 0 && r.A <= s[i-1].B {
			return false
		}
	}
	return true
}

// Has reports whether cell is in the set.
func (s Ranges) Has(cell uint32) bool {
	i, _ := slices.BinarySearchFunc(s, cell, func(r Range, c uint32) int {
		if r.B <= c {
			return -1
		}
		if r.A > c {
			return 1
		}
		return 0
	})
	return i < len(s) && s[i].Has(cell)
}

// Len returns the number of cells in the set.
func (s Ranges) Len() int {
	n := 0
	for _, r := range s {
		n += r.Len()
	}
	return n
}

// Cells returns the cells of the set in ascending order.
func (s Ranges) Cells() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range s {
			for c := r.A; c < r.B; c++ {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Union returns the cells in s or t.
func (s Ranges) Union(t Ranges) Ranges {
	all := slices.Concat(s, t)
	slices.SortFunc(all, func(x, y Range) int { return int(int64(x.A) - int64(y.A)) })
	var set Ranges
	for _, r := range all {
		if r.Len() == 0 {
			continue
		}
		if n := len(set); n > 0 && r.A <= set[n-1].B {
			set[n-1].B = max(set[n-1].B, r.B)
			continue
		}
		set = append(set, r)
	}
	return set
}

// Minus returns the cells in s and not in t.
func (s Ranges) Minus(t Ranges) Ranges {
	var set Ranges
	i := 0
	for _, r := range s {
		for i < len(t) && t[i].B <= r.A {
			i++
		}
		at := r.A
		for j := i; j < len(t) && t[j].A < r.B; j++ {
			if at < t[j].A {
				set = append(set, Range{at, t[j].A})
			}
			at = max(at, t[j].B)
		}
		if at < r.B {
			set = append(set, Range{at, r.B})
		}
	}
	return set
}

// String returns the ranges joined by spaces.
func (s Ranges) String() string {
	parts := make([]string, len(s))
	for i, r := range s {
		parts[i] = r.String()
	}
	return strings.Join(parts, " ")
}
