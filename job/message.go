// SPDX-License-Identifier: MIT

package job

import "math"

// Kind names a message on the wire. Kinds are append-only.
type Kind uint8

// The messages of a job, in the order of its life.
const (
	KindCall      Kind = 1  // topic offers
	KindReady     Kind = 2  // stream, one way, to the submitter
	KindOffer     Kind = 3  // topic offers
	KindClaim     Kind = 4  // topic work
	KindProgress  Kind = 5  // topic work
	KindDone      Kind = 6  // topic work
	KindSplit     Kind = 7  // stream: request to the holder of a range
	KindGrant     Kind = 8  // stream: answer to Split
	KindCollected Kind = 9  // topic offers
	KindRevoked   Kind = 10 // topic offers
	KindCancel    Kind = 11 // topic offers
	KindPull      Kind = 12 // stream: request for what a peer knows of jobs
	KindState     Kind = 13 // stream: answer to Pull
	KindReleased  Kind = 14 // topic work
	KindMissing   Kind = 15 // stream: request to the submitter for a file of its project
	KindSupplied  Kind = 16 // stream: answer to Missing
)

// Message is one of the message types of this file.
type Message interface {
	Kind() Kind
	validate() error
}

// Nonce tells the jobs of one submitter apart before they have an id.
type Nonce [16]byte

// Call announces that a job is being planned, so that peers warm an engine. It
// says nothing of the scene.
type Call struct {
	Nonce Nonce `cbor:"0,keyasint"`
	Need  Need  `cbor:"1,keyasint"`
}

// Ready answers a Call or an Offer of a peer that can and will work on the job.
type Ready struct {
	Nonce   Nonce   `cbor:"0,keyasint"`
	Slots   uint32  `cbor:"1,keyasint"` // cells it renders at a time
	Speed   float64 `cbor:"2,keyasint"` // of one slot; see Advert.Speed
	Queue   float64 `cbor:"3,keyasint"` // seconds of work it holds already
	Sandbox string  `cbor:"4,keyasint"` // tier
}

// Offer publishes a job. The layout of planned ranges is a pure function of the
// offer and its manifest.
type Offer struct {
	Job    ID       `cbor:"0,keyasint"`
	Nonce  Nonce    `cbor:"1,keyasint"`
	Roster []Member `cbor:"2,keyasint"` // who was ready, in any order, each once
}

// Member is one peer of an Offer's roster.
type Member struct {
	Peer  PeerID  `cbor:"0,keyasint"`
	Slots uint32  `cbor:"1,keyasint"`
	Speed float64 `cbor:"2,keyasint"`
	Queue float64 `cbor:"3,keyasint"`
}

// Claim says that its sender holds a range of cells. Among claims of a cell the
// highest Gen holds; among equal ones a granted one, then the lower [Rank] of
// (job, Gen, peer). Gen 0 is the plan's.
type Claim struct {
	Job   ID     `cbor:"0,keyasint"`
	Range Range  `cbor:"1,keyasint"`
	Gen   uint32 `cbor:"2,keyasint"`
	Grant []byte `cbor:"3,keyasint,omitempty"` // the victim's signed Grant, when the range was split off
}

// Progress repeats once a second what its sender holds. A holder that is silent
// for the time to live has lost its claims.
type Progress struct {
	Idle uint32 `cbor:"0,keyasint"` // free slots
	Held []Held `cbor:"1,keyasint"`
}

// Held is a claim repeated, with what is left of it.
type Held struct {
	Job   ID      `cbor:"0,keyasint"`
	Range Range   `cbor:"1,keyasint"`
	Gen   uint32  `cbor:"2,keyasint"`
	Left  Ranges  `cbor:"3,keyasint"` // cells of the range not done yet
	Rate  float64 `cbor:"4,keyasint"` // weight per second, all slots; 0: not known yet
}

// Done says that its sender has a cell's bytes on disk.
type Done struct {
	Job    ID     `cbor:"0,keyasint"`
	Cell   uint32 `cbor:"1,keyasint"`
	Output CID    `cbor:"2,keyasint"`           // FileSet of the cell's files
	Size   uint64 `cbor:"3,keyasint"`           // bytes of those files
	Gen    uint32 `cbor:"4,keyasint"`           // of the claims of that cell by then; see CauseLost
	Of     []byte `cbor:"5,keyasint,omitempty"` // of a copy: the Done of the peer that has rendered it, as it signed it
}

// Split asks the holder of a range for a part of it.
type Split struct {
	Job   ID      `cbor:"0,keyasint"`
	Slots uint32  `cbor:"1,keyasint"`
	Speed float64 `cbor:"2,keyasint"`
}

// Grant answers a Split. With it the victim gives up Range to To under Gen.
type Grant struct {
	Job   ID     `cbor:"0,keyasint"`
	To    PeerID `cbor:"1,keyasint"`
	Range Range  `cbor:"2,keyasint"` // empty: refused
	Gen   uint32 `cbor:"3,keyasint"`
	Hint  PeerID `cbor:"4,keyasint,omitempty"` // who to ask instead
}

// Collected is the submitter's word that it has these cells, checked and
// pinned. Nothing else is final. With Final the job is over.
//
// Words of one Epoch add up; a word of a higher one takes the place of all before
// it. The epoch rises when the submitter was restarted, or has lost the bytes of
// cells that it had.
type Collected struct {
	Job   ID     `cbor:"0,keyasint"`
	Cells Ranges `cbor:"1,keyasint"`
	Final bool   `cbor:"2,keyasint,omitempty"`
	Epoch uint32 `cbor:"3,keyasint,omitempty"`
}

// Revoked is the submitter's word that nothing a peer did for this job counts.
type Revoked struct {
	Job    ID     `cbor:"0,keyasint"`
	Peer   PeerID `cbor:"1,keyasint"`
	Reason string `cbor:"2,keyasint"`
}

// Cancel ends a job without a film. Before the Offer it has only the nonce.
type Cancel struct {
	Job    ID     `cbor:"0,keyasint,omitempty"`
	Nonce  Nonce  `cbor:"1,keyasint"`
	Reason string `cbor:"2,keyasint"`
}

// Released says that its sender gives up a range of cells: its claims of them
// up to Gen are void.
type Released struct {
	Job    ID     `cbor:"0,keyasint"`
	Range  Range  `cbor:"1,keyasint"`
	Gen    uint32 `cbor:"2,keyasint"`
	Cause  Cause  `cbor:"3,keyasint"`
	Reason string `cbor:"4,keyasint"` // for people; of a failure: the renderer's own output
}

// Cause says why cells were released. Causes are append-only.
type Cause uint8

// Nothing is wrong with a cell that was released by a node that is paused or
// has no room. Failed: rendering was tried. Diverged: the sender must not work on
// this job any more. Lost: the sender had the cell's bytes, and has them no more; its
// Dones up to Gen are void, too.
const (
	CauseBusy     Cause = 0
	CauseFailed   Cause = 1
	CauseDiverged Cause = 2
	CauseLost     Cause = 3
)

// Pull asks a peer for the facts it has of every open job, and for the end of
// those that are over, without what the asker knows already.
type Pull struct {
	Known []Known `cbor:"0,keyasint,omitempty"`
}

// Known says which cells of a job need no fact: collected, or done by a peer
// that is there. Over: the asker knows that the job has ended. All: it wants to know
// who has collected cells, too.
type Known struct {
	Job   ID     `cbor:"0,keyasint"`
	Cells Ranges `cbor:"1,keyasint"`
	Over  bool   `cbor:"2,keyasint,omitempty"`
	All   bool   `cbor:"3,keyasint,omitempty"`
}

// State answers a Pull with facts as their authors signed them.
type State struct {
	Facts [][]byte `cbor:"0,keyasint"` // encoded envelopes
	More  bool     `cbor:"1,keyasint"` // not all fitted
}

// Missing asks the submitter for a file that the plan did not read, and that the
// sender's walk has opened. Only who holds cells of the job may ask.
type Missing struct {
	Job  ID     `cbor:"0,keyasint"`
	Path string `cbor:"1,keyasint"` // below the project's folder; as in a file set
}

// Supplied answers a Missing. Of Files and Reason one is empty.
type Supplied struct {
	Job    ID     `cbor:"0,keyasint"`
	Path   string `cbor:"1,keyasint"`           // as asked for
	Files  CID    `cbor:"2,keyasint,omitempty"` // FileSet of that one file, under the same path
	Reason string `cbor:"3,keyasint,omitempty"` // why there is none
	Again  bool   `cbor:"4,keyasint,omitempty"` // it may be otherwise in a moment: the claim may not have arrived
}

func (*Call) Kind() Kind      { return KindCall }
func (*Ready) Kind() Kind     { return KindReady }
func (*Offer) Kind() Kind     { return KindOffer }
func (*Claim) Kind() Kind     { return KindClaim }
func (*Progress) Kind() Kind  { return KindProgress }
func (*Done) Kind() Kind      { return KindDone }
func (*Split) Kind() Kind     { return KindSplit }
func (*Grant) Kind() Kind     { return KindGrant }
func (*Collected) Kind() Kind { return KindCollected }
func (*Revoked) Kind() Kind   { return KindRevoked }
func (*Cancel) Kind() Kind    { return KindCancel }
func (*Pull) Kind() Kind      { return KindPull }
func (*State) Kind() Kind     { return KindState }
func (*Released) Kind() Kind  { return KindReleased }
func (*Missing) Kind() Kind   { return KindMissing }
func (*Supplied) Kind() Kind  { return KindSupplied }

// newMessage returns an empty message to decode into, or nil.
func newMessage(k Kind) Message {
	switch k {
	case KindCall:
		return new(Call)
	case KindReady:
		return new(Ready)
	case KindOffer:
		return new(Offer)
	case KindClaim:
		return new(Claim)
	case KindProgress:
		return new(Progress)
	case KindDone:
		return new(Done)
	case KindSplit:
		return new(Split)
	case KindGrant:
		return new(Grant)
	case KindCollected:
		return new(Collected)
	case KindRevoked:
		return new(Revoked)
	case KindCancel:
		return new(Cancel)
	case KindPull:
		return new(Pull)
	case KindState:
		return new(State)
	case KindReleased:
		return new(Released)
	case KindMissing:
		return new(Missing)
	case KindSupplied:
		return new(Supplied)
	}
	return nil
}

func (m *Call) validate() error { return m.Need.validate() }

func (m *Ready) validate() error {
	if len(m.Sandbox) > MaxName {
		return invalid("ready: sandbox")
	}
	return checkSpeed(m.Slots, m.Speed, m.Queue)
}

func (m *Offer) validate() error {
	if len(m.Roster) > MaxRoster {
		return invalid("offer: roster of %d", len(m.Roster))
	}
	seen := make(map[PeerID]bool, len(m.Roster))
	for _, r := range m.Roster {
		if err := checkPeer(r.Peer); err != nil {
			return err
		}
		if seen[r.Peer] {
			return invalid("offer: %s listed twice", r.Peer)
		}
		seen[r.Peer] = true
		if err := checkSpeed(r.Slots, r.Speed, r.Queue); err != nil {
			return err
		}
	}
	return checkID(m.Job)
}

func (m *Claim) validate() error {
	if m.Range.Len() == 0 || m.Range.B > MaxCells {
		return invalid("claim: range %v", m.Range)
	}
	return checkID(m.Job)
}

func (m *Progress) validate() error {
	if len(m.Held) > MaxHeld {
		return invalid("progress: %d claims", len(m.Held))
	}
	left := 0
	for _, h := range m.Held {
		if h.Range.Len() == 0 || h.Range.B > MaxCells || !(h.Rate >= 0 && h.Rate < math.Inf(1)) {
			return invalid("progress: claim of %v at rate %v", h.Range, h.Rate)
		}
		if len(h.Left) > MaxRanges || !h.Left.Valid(MaxCells) || len(h.Left.Minus(Ranges{h.Range})) > 0 {
			return invalid("progress: left of %v", h.Range)
		}
		if left += h.Left.Len(); left > MaxLeft {
			return invalid("progress: more than %d cells", MaxLeft)
		}
		if err := checkID(h.Job); err != nil {
			return err
		}
	}
	return nil
}

func (m *Done) validate() error {
	if m.Cell >= MaxCells || m.Size > MaxSetSize {
		return invalid("done: cell %d of %d bytes", m.Cell, m.Size)
	}
	if len(m.Of) > maxDone {
		return invalid("done: a copy of another of %d bytes", len(m.Of))
	}
	if _, err := m.Output.Parse(); err != nil {
		return invalid("done: output: %v", err)
	}
	return checkID(m.Job)
}

func (m *Split) validate() error {
	if err := checkSpeed(m.Slots, m.Speed, 0); err != nil {
		return err
	}
	return checkID(m.Job)
}

func (m *Grant) validate() error {
	if m.Range.A > m.Range.B || m.Range.B > MaxCells {
		return invalid("grant: range %v", m.Range)
	}
	if m.Hint != "" {
		if err := checkPeer(m.Hint); err != nil {
			return err
		}
	}
	if err := checkPeer(m.To); err != nil {
		return err
	}
	return checkID(m.Job)
}

func (m *Collected) validate() error {
	if len(m.Cells) > MaxRanges || !m.Cells.Valid(MaxCells) {
		return invalid("collected: cells")
	}
	return checkID(m.Job)
}

func (m *Revoked) validate() error {
	if len(m.Reason) > MaxText {
		return invalid("revoked: reason of %d bytes", len(m.Reason))
	}
	if err := checkPeer(m.Peer); err != nil {
		return err
	}
	return checkID(m.Job)
}

func (m *Cancel) validate() error {
	if len(m.Reason) > MaxText {
		return invalid("cancel: reason of %d bytes", len(m.Reason))
	}
	if m.Job == "" {
		return nil
	}
	return checkID(m.Job)
}

func (m *Released) validate() error {
	if m.Range.Len() == 0 || m.Range.B > MaxCells {
		return invalid("released: range %v", m.Range)
	}
	if len(m.Reason) > MaxText {
		return invalid("released: reason of %d bytes", len(m.Reason))
	}
	return checkID(m.Job)
}

func (m *Pull) validate() error {
	if len(m.Known) > MaxKnown {
		return invalid("pull: %d jobs", len(m.Known))
	}
	for _, k := range m.Known {
		if len(k.Cells) > MaxRanges || !k.Cells.Valid(MaxCells) {
			return invalid("pull: cells of %s", k.Job.Short())
		}
		if err := checkID(k.Job); err != nil {
			return err
		}
	}
	return nil
}

func (m *State) validate() error {
	for _, f := range m.Facts {
		if len(f) > MaxMessage {
			return invalid("state: fact of %d bytes", len(f))
		}
	}
	return nil
}

func (m *Missing) validate() error {
	if err := CheckPath(m.Path); err != nil {
		return err
	}
	return checkID(m.Job)
}

func (m *Supplied) validate() error {
	if len(m.Reason) > MaxText || (m.Files == "") == (m.Reason == "") {
		return invalid("supplied: reason of %d bytes, files %.80q", len(m.Reason), m.Files)
	}
	if m.Files != "" {
		if _, err := m.Files.Parse(); err != nil {
			return invalid("supplied: files: %v", err)
		}
	}
	if err := CheckPath(m.Path); err != nil {
		return err
	}
	return checkID(m.Job)
}

func checkID(id ID) error {
	if _, err := CID(id).Parse(); err != nil {
		return invalid("job id %.80q", id)
	}
	return nil
}

func checkPeer(p PeerID) error {
	if p == "" || len(p) > 128 {
		return invalid("peer id of %d bytes", len(p))
	}
	return nil
}

// checkSpeed refuses numbers that would poison a sum or a division.
func checkSpeed(slots uint32, speed, queue float64) error {
	if slots > 4096 || !(speed >= 0 && speed <= 1e6) || !(queue >= 0 && queue <= 1e9) {
		return invalid("%d slots, speed %v, queue %v", slots, speed, queue)
	}
	return nil
}
