// SPDX-License-Identifier: MIT

package job

import "fmt"

// Signer signs as one node. Sign must be safe for concurrent use.
type Signer interface {
	Self() PeerID
	Sign(data []byte) (signature []byte, err error)
}

// Verifier checks signatures. A PeerID contains its public key, so nothing
// else is needed. Verify must be safe for concurrent use.
type Verifier interface {
	Verify(by PeerID, data, signature []byte) error
}

// Signed is a message with its author, and the envelope that proves it: anyone
// may relay Raw.
type Signed struct {
	From  PeerID
	Msg   Message
	Raw   []byte  // the encoded envelope
	Grant *Signed // of a Claim that carries one: the Grant, opened and verified too
	Of    *Signed // of a Done of a copy: the Done of who has rendered it, the same
}

// envelope is the form of every message on the wire.
type envelope struct {
	V    uint   `cbor:"0,keyasint"`
	Kind Kind   `cbor:"1,keyasint"`
	From PeerID `cbor:"2,keyasint"`
	Body []byte `cbor:"3,keyasint"` // the encoded message
	Sig  []byte `cbor:"4,keyasint"` // over the envelope with Sig empty, after signDomain
}

// signDomain keeps a signature from meaning anything outside this protocol.
const signDomain = "meshnode/1 envelope\x00"

// Seal signs and encodes a message.
func Seal(by Signer, msg Message) (Signed, error) {
	if err := msg.validate(); err != nil {
		return Signed{}, err
	}
	limit := limitOf(msg.Kind())
	body, err := encode(msg, limit)
	if err != nil {
		return Signed{}, err
	}
	e := envelope{V: Version, Kind: msg.Kind(), From: by.Self(), Body: body}
	toSign, err := e.signedBytes()
	if err != nil {
		return Signed{}, err
	}
	if e.Sig, err = by.Sign(toSign); err != nil {
		return Signed{}, fmt.Errorf("job: sign: %w", err)
	}
	raw, err := encode(&e, limit)
	if err != nil {
		return Signed{}, err
	}
	return Signed{From: e.From, Msg: msg, Raw: raw}, nil
}

// Open decodes, validates and verifies an envelope, and the Grant inside a Claim, or
// the Done inside that of a copy. It does not know whether the author had the right to
// say what it says.
func Open(v Verifier, raw []byte) (Signed, error) {
	s, err := open(v, raw)
	if err != nil {
		return Signed{}, err
	}
	switch msg := s.Msg.(type) {
	case *Claim:
		if len(msg.Grant) == 0 {
			break
		}
		grant, err := open(v, msg.Grant)
		if err != nil {
			return Signed{}, fmt.Errorf("claim: %w", err)
		}
		if grant.Msg.Kind() != KindGrant {
			return Signed{}, invalid("claim: a message of kind %d for a grant", grant.Msg.Kind())
		}
		s.Grant = &grant
	case *Done:
		if len(msg.Of) == 0 {
			break
		}
		of, err := open(v, msg.Of)
		if err != nil {
			return Signed{}, fmt.Errorf("done: %w", err)
		}
		one, ok := of.Msg.(*Done)
		if !ok || len(one.Of) > 0 || one.Job != msg.Job || one.Cell != msg.Cell || one.Output != msg.Output || one.Size != msg.Size {
			return Signed{}, invalid("done: a copy of what nobody says that he has rendered")
		}
		s.Of = &of
	}
	return s, nil
}

func open(v Verifier, raw []byte) (Signed, error) {
	var e envelope
	if err := decode(decMessage, raw, &e, MaxState); err != nil {
		return Signed{}, err
	}
	if e.V != Version {
		return Signed{}, fmt.Errorf("%w %d", ErrVersion, e.V)
	}
	msg := newMessage(e.Kind)
	if msg == nil {
		return Signed{}, invalid("message of kind %d", e.Kind)
	}
	if limit := limitOf(e.Kind); len(raw) > limit {
		return Signed{}, invalid("message of kind %d with %d bytes, at most %d allowed", e.Kind, len(raw), limit)
	}
	if err := checkPeer(e.From); err != nil {
		return Signed{}, err
	}
	sig := e.Sig
	toSign, err := e.signedBytes()
	if err != nil {
		return Signed{}, err
	}
	if err := v.Verify(e.From, toSign, sig); err != nil {
		return Signed{}, fmt.Errorf("%w: signature of %s: %v", ErrInvalid, e.From, err)
	}
	if err := decode(decMessage, e.Body, msg, MaxState); err != nil {
		return Signed{}, err
	}
	if err := msg.validate(); err != nil {
		return Signed{}, err
	}
	return Signed{From: e.From, Msg: msg, Raw: raw}, nil
}

func (e envelope) signedBytes() ([]byte, error) {
	e.Sig = nil
	b, err := encode(&e, MaxState)
	if err != nil {
		return nil, err
	}
	return append([]byte(signDomain), b...), nil
}

func limitOf(k Kind) int {
	if k == KindState {
		return MaxState
	}
	return MaxMessage
}
