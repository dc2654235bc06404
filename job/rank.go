// SPDX-License-Identifier: MIT

package job

import (
	"crypto/sha256"
	"encoding/binary"
)

// Rank orders peers for one purpose of one job, the same on every node and as
// good as random: the lowest is first. It decides between claims of equal Gen
// (n is the Gen), and who takes an orphaned range (n is its first cell).
func Rank(id ID, n uint32, peer PeerID) uint64 {
	b := make([]byte, 0, 160)
	b = append(b, id...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint32(b, n)
	b = append(b, peer...)
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}
