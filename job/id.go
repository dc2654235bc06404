// SPDX-License-Identifier: MIT

package job

import (
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// PeerID names a node: the text form of its libp2p peer id, which contains its
// public key.
type PeerID string

// Short returns the last eight characters of the id, enough to tell the nodes
// of one mesh apart in a table.
func (p PeerID) Short() string { return tail(string(p), 8) }

// CID is the address of a block: the text form of a CIDv1 with the raw codec
// and a sha2-256 hash. No other kind of CID is used.
type CID string

// ID names a job: the CID of its encoded [Manifest].
type ID CID

// Short returns the last eight characters of the id, for people. Commands
// accept it where it is unambiguous.
func (id ID) Short() string { return tail(string(id), 8) }

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[len(s)-n:]
}

// CIDOf returns the address of a block.
func CIDOf(block []byte) CID {
	sum, err := multihash.Sum(block, multihash.SHA2_256, -1)
	if err != nil { // sha2-256 is built in and takes any input
		panic(fmt.Sprintf("job: sha2-256: %v", err))
	}
	return CID(cid.NewCidV1(cid.Raw, sum).String())
}

// ErrCID is returned for text that is not a CID of the one kind in use.
var ErrCID = errors.New("job: not a CIDv1 of a raw block with sha2-256")

// Parse returns the CID in binary form, or [ErrCID].
func (c CID) Parse() (cid.Cid, error) {
	if len(c) > 64 { // the one kind in use has 59 characters
		return cid.Undef, ErrCID
	}
	parsed, err := cid.Decode(string(c))
	if err != nil {
		return cid.Undef, fmt.Errorf("%w: %v", ErrCID, err)
	}
	p := parsed.Prefix()
	if p.Version != 1 || p.Codec != cid.Raw || p.MhType != multihash.SHA2_256 || p.MhLength != 32 || parsed.String() != string(c) {
		return cid.Undef, ErrCID
	}
	return parsed, nil
}
