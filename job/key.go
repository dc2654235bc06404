// SPDX-License-Identifier: MIT

package job

import (
	"encoding/hex"
	"fmt"
)

// Key stands for all that a cell's output depends on: cells of one submitter with
// equal keys have equal outputs. It is a hash; the zero Key is none.
type Key [32]byte

// ParseKey reads what String writes.
func ParseKey(text string) (Key, error) {
	var k Key
	if n, err := hex.Decode(k[:], []byte(text[:min(len(text), 2*len(k)+1)])); err != nil || n != len(k) {
		return Key{}, invalid("key %.80q", text)
	}
	return k, nil
}

func (k Key) String() string { return hex.EncodeToString(k[:]) }

// MaxKeys is the number of cells of a job that can have keys, the first ones: they
// are one block.
const MaxKeys = MaxBlock / len(Key{})

// EncodeKeys returns the block with the keys of a job's cells, nil if there are none.
func EncodeKeys(keys []Key) []byte {
	var block []byte
	for _, k := range keys[:min(len(keys), MaxKeys)] {
		block = append(block, k[:]...)
	}
	return block
}

// DecodeKeys reads a block with the keys of a job's cells, of which there are so many.
func DecodeKeys(block []byte, cells int) ([]Key, error) {
	n := len(block) / len(Key{})
	if len(block)%len(Key{}) != 0 || n == 0 || n > min(cells, MaxKeys) {
		return nil, invalid("keys of %d cells in %d bytes", cells, len(block))
	}
	keys := make([]Key, n)
	for i := range keys {
		copy(keys[i][:], block[i*len(Key{}):])
	}
	return keys, nil
}

var _ fmt.Stringer = Key{}
