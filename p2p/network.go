// SPDX-License-Identifier: MIT

package p2p

import (
	"context"
	"errors"

	"meshnode/job"
)

// Network is how a node reaches the other nodes of its mesh. Two
// implementations pass the same conformance suite: [Host] over libp2p, and
// [Memory], which loses, delays, duplicates and partitions by seed.
//
// All methods are safe for concurrent use. Gossip is a hint: a published
// message may be lost, doubled or late, and Publish does not tell.
type Network interface {
	job.Signer
	job.Verifier

	// Publish gossips data, at most job.MaxMessage bytes, to the peers that
	// listen to the topic. It is not delivered back to the sender.
	Publish(ctx context.Context, topic Topic, data []byte) error

	// Listen calls handle for each message of the topic, one at a time, until
	// Close. from is the peer that published the message, proven by its
	// signature. A message for which handle returns Reject is not passed on,
	// and counts against from. handle must return soon, and not call Close. A
	// topic has one listener; set it before Start, or miss what comes earlier.
	Listen(topic Topic, handle func(from job.PeerID, data []byte) Verdict) error

	// Request sends data, at most job.MaxMessage bytes, to a peer and returns
	// its answer, at most job.MaxState bytes. It dials a known peer that is not
	// connected; the error wraps ErrUnreachable if that fails. ctx must have a
	// deadline.
	Request(ctx context.Context, to job.PeerID, data []byte) ([]byte, error)

	// Answer sets what answers requests: called concurrently, a bounded number
	// at a time. An error ends the stream without an answer.
	Answer(handle func(ctx context.Context, from job.PeerID, data []byte) ([]byte, error))

	// Advertise sets what this node says of itself, at most job.MaxMessage
	// bytes, and sends it to every peer now and to each new peer once.
	Advertise(data []byte) error

	// Events returns joins, adverts and departures, in order for each peer. The
	// channel is closed by Close. The caller must keep reading.
	Events() <-chan Event

	// Peers returns the peers that have joined, in no order.
	Peers() []Peer

	// Admit sets who may be a peer, until it is set again; nil: everybody. Whoever
	// may not is neither connected nor heard, also through others, and connections
	// with him are closed. admit is called concurrently and must return soon.
	Admit(admit func(job.PeerID) bool)

	// Connect dials a peer by its full address (/ip4/…/tcp/…/p2p/…), remembers
	// it, and redials it when it is lost. It returns when the peer has joined,
	// or an error that wraps ErrUnreachable or ErrMesh; then, too, the peer is
	// remembered, and dialed until it is there.
	Connect(ctx context.Context, addr string) error

	// Addrs returns the full addresses at which this node can be dialed.
	Addrs() []string

	// Close leaves the mesh and ends every goroutine of the network.
	Close() error
}

// Topic is a gossip topic of the mesh.
type Topic string

// The topics of a mesh; on the wire /meshnode/1/<mesh>/<topic>.
const (
	Offers Topic = "offers" // what submitters say: relayable envelopes
	Work   Topic = "work"   // what workers say of their own cells
)

// Verdict is a listener's word on a message.
type Verdict int

// Accept passes a message on. Ignore drops it without blame: a repetition, or
// something of another version. Reject drops it and counts against its sender.
const (
	Accept Verdict = iota
	Ignore
	Reject
)

// Event is a change in who is there.
type Event struct {
	Kind   EventKind
	Peer   job.PeerID
	Advert []byte // of Joined and Changed
}

// EventKind says what changed.
type EventKind int

// A peer has joined when it is connected, each side has the other's advert, and
// both topics reach it. It has left when its last connection is closed and one
// dial has failed. One that restarts leaves and joins, however quickly; a
// connection that breaks and is made again at once is no event.
const (
	Joined EventKind = iota
	Changed
	Left
)

// Peer is a peer that has joined.
type Peer struct {
	ID     job.PeerID
	Addrs  []string // full addresses, the one in use first
	Advert []byte
}

// Errors that callers tell apart.
var (
	ErrUnreachable = errors.New("p2p: peer not reachable")
	ErrMesh        = errors.New("p2p: node of another mesh")
	ErrClosed      = errors.New("p2p: network closed")
	ErrTooLarge    = errors.New("p2p: data too large")
)
