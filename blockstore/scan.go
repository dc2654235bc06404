// SPDX-License-Identifier: MIT

package blockstore

import (
	"errors"

	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxEntries is how many blocks, wants and presences one message may have, all
// together. A node of ours sends half of that at most.
const maxEntries = 2048

// Lists in a message, by the numbers of their fields.
const (
	fieldWantlist  = 1 // one, with a list of its own
	fieldBlocks    = 2
	fieldPayload   = 3
	fieldPresences = 4
	fieldEntries   = 1 // of the wantlist
)

var (
	errEntries   = errors.New("blockstore: a message with too many entries")
	errMalformed = errors.New("blockstore: a message that is malformed")
	errGroup     = errors.New("blockstore: a message with a group") // no message of ours has any
)

// scanner walks over messages in their wire form, as they come by, before
// anything of them is decoded: two bytes of an entry become a hundred. It takes
// what is read of a stream, piece by piece, and keeps none of it.
//
// It knows lengths, and the lists. What is inside of an entry is the decoder's.
type scanner struct {
	entries int // in this message

	within  int       // levels that are open: 0 between messages, 1 in one, 2 in its wantlist
	left    [3]uint64 // bytes of each, those of inner levels included; of level 0 not in use
	skip    uint64    // bytes to pass over
	reading part      // what the next number is
	tag     uint64    // of the field whose number or length is read
	number  uint64    // so far
	shift   uint      // bits of it
}

// part is what a number in a message stands for.
type part int

const (
	partMessage part = iota // the bytes of a message
	partTag                 // field and type
	partValue               // nothing that matters
	partLength              // the bytes of a field
)

// pass takes the next bytes of a stream. After an error it is not to be used.
func (s *scanner) pass(p []byte) error {
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, uint64(len(p)))
			p = p[n:]
			s.skip -= n
			s.leave()
			continue
		}
		c := p[0]
		p = p[1:]
		if !s.take(1) || s.shift == 63 && c > 1 {
			return errMalformed
		}
		s.number |= uint64(c&0x7f) << s.shift
		s.shift += 7
		if c < 0x80 {
			n := s.number
			s.number, s.shift = 0, 0
			if err := s.have(n); err != nil {
				return err
			}
		}
		if s.shift == 0 {
			s.leave()
		}
	}
	return nil
}

// take counts bytes as read in all levels that are open, if they are there.
func (s *scanner) take(n uint64) bool {
	for i := 1; i <= s.within; i++ {
		if s.left[i] < n {
			return false
		}
	}
	for i := 1; i <= s.within; i++ {
		s.left[i] -= n
	}
	return true
}

// leave closes the levels that have ended.
func (s *scanner) leave() {
	for s.skip == 0 && s.reading == partTag && s.within > 0 && s.left[s.within] == 0 {
		s.within--
		if s.within == 0 {
			s.reading = partMessage
		}
	}
}

// have takes the next number.
func (s *scanner) have(n uint64) error {
	switch s.reading {
	case partMessage:
		s.entries, s.within, s.left[1] = 0, 1, n
	case partTag:
		s.tag = n
		switch field, kind := n>>3, protowire.Type(n&7); {
		case field == 0 || field > uint64(protowire.MaxValidNumber):
			return errMalformed
		case kind == protowire.VarintType:
			s.reading = partValue
			return nil
		case kind == protowire.BytesType:
			s.reading = partLength
			return nil
		case kind == protowire.Fixed32Type:
			s.skip = 4
		case kind == protowire.Fixed64Type:
			s.skip = 8
		case kind == protowire.StartGroupType:
			return errGroup
		default:
			return errMalformed
		}
		if !s.take(s.skip) {
			return errMalformed
		}
	case partLength:
		field := s.tag >> 3
		if s.within == 1 && field == fieldWantlist {
			if n > s.left[1] {
				return errMalformed
			}
			s.within, s.left[2] = 2, n
			break
		}
		if s.within == 1 && field >= fieldBlocks && field <= fieldPresences || s.within == 2 && field == fieldEntries {
			if s.entries++; s.entries > maxEntries {
				return errEntries
			}
		}
		if !s.take(n) {
			return errMalformed
		}
		s.skip = n
	}
	s.reading = partTag
	return nil
}

// scanned is a stream that is reset at the first message that is too much.
type scanned struct {
	network.Stream
	scanner scanner
}

func (s *scanned) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if bad := s.scanner.pass(p[:n]); bad != nil {
		_ = s.Reset()
		return 0, bad
	}
	return n, err
}
