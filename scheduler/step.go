// SPDX-License-Identifier: MIT

package scheduler

import (
	"time"

	"meshnode/job"
)

// Event is something that happened to this node. Step takes one at a time.
type Event interface{ event() }

// Events.
type (
	// Tick says that the time asked for by Deadline has come.
	Tick struct{}

	// PeerJoined and PeerLeft follow the network. A peer's advert may change:
	// PeerJoined again.
	PeerJoined struct {
		Peer   job.PeerID
		Advert *job.Advert
	}
	PeerLeft struct{ Peer job.PeerID }

	// Shunned says that this node does not work for a peer any more; Blocked, that
	// nor does the peer for this node: what it did for jobs of this node and is not
	// collected does not count.
	Shunned struct {
		Peer    job.PeerID
		Blocked bool
	}

	// Resources sets what this node can do now: slots for its own and for other
	// peers' jobs, speed of a slot, environments, sandbox tier, pause.
	Resources struct{ Advert *job.Advert }

	// Plan begins a job of this node: peers are called.
	Plan struct {
		Nonce job.Nonce
		Need  job.Need
	}
	// Submit offers the planned job. LocalSlots bounds how many cells of it
	// this node renders at a time itself; 0: none. Cached cells are collected from
	// the start. Which cells of peers are checked follows from Secret, which must be as
	// hard to guess as a key.
	Submit struct {
		Job        job.ID
		Manifest   *job.Manifest
		LocalSlots uint32
		Cached     []Cached
		Trust      Trust
		Secret     []byte
	}
	// Abort ends a job of this node, planned or offered, by the user's wish or
	// a failure.
	Abort struct {
		Nonce  job.Nonce
		Reason string
	}
	// Assembled says that the film of a job of this node is written.
	Assembled struct{ Job job.ID }
	// Finish makes the film of another node's job here, at the wish of this node's
	// user: the submitter does not come back. Assemble follows when all cells are
	// here. Who may do so is for the caller to decide.
	Finish struct{ Job job.ID }
	// Leave says that this node is about to end: everything it holds is handed
	// over, and it takes nothing more. Its actions should be carried out, and have
	// a moment to leave the machine, before it ends.
	Leave struct{}

	// Compared answers Compare. Err nil: the pictures are like enough;
	// job.ErrCompare: they were not to be had.
	Compared struct {
		A, B job.CID
		Err  error
	}

	// Received is a message of a topic, or a one-way message of a stream. job.Open
	// has verified it, and the Grant of a Claim; the scheduler checks who may say
	// what.
	Received struct{ job.Signed }

	// Asked is a request of a peer, answered by a Reply with the same ID.
	Asked struct {
		ID uint64
		job.Signed
	}
	// Answered is the answer to a Request. Msg is nil when there was none. Facts
	// are the facts of a *job.State, each opened; those that job.Open refuses are
	// left out.
	Answered struct {
		ID uint64
		job.Signed
		Facts []job.Signed
	}

	// ManifestFetched answers FetchManifest; Manifest is nil when it failed. Cached
	// cells are as good as rendered here.
	ManifestFetched struct {
		Job      job.ID
		Manifest *job.Manifest
		Cached   []Cached
	}
	// Prepared answers Prepare: assets are here and an engine is loaded. Err is
	// not nil when this node cannot work on the job.
	Prepared struct {
		Job job.ID
		Err error
	}
	// Rendered says that a cell's files are in the store, synced and pinned.
	Rendered struct {
		Job     job.ID
		Cell    uint32
		Output  job.CID
		Size    uint64
		Seconds float64 // wall time of drawing it, without the walk to it
	}
	// RenderFailed says that Render did not give a cell. A dropped cell is not
	// reported.
	RenderFailed struct {
		Job    job.ID
		Cell   uint32
		Class  Class
		Reason string
	}
	// Checked answers Check. Own is what this node has rendered, "" if that failed.
	Checked struct {
		Job     job.ID
		Cell    uint32
		Output  job.CID // that was checked
		Verdict Verdict
		Reason  string // for people, unless the verdict is Right
		Own     job.CID
		Size    uint64 // bytes of Own
	}
	// Rewalked answers Rewalk: how the scene played differently, "" if it did not,
	// or if that could not be found out.
	Rewalked struct {
		Job     job.ID
		Differs string
	}
	// Lost says that the bytes of cells are here no more, though this node has
	// rendered or collected them: its disk has lost or spoiled them.
	Lost struct {
		Job   job.ID
		Cells []uint32
	}
	// Fetched says that the bytes of a cell are here, checked and pinned;
	// FetchFailed that none of the peers had them in time, that what they had
	// was not a cell (Bad), or that this node could not take them (Here), or could not
	// find out whether they are one (Blind): then nobody else is to blame.
	Fetched struct {
		Job  job.ID
		Cell uint32
		CID  job.CID
	}
	FetchFailed struct {
		Job  job.ID
		Cell uint32
		CID  job.CID
		Size uint64 // that was asked for; 0: any
		Bad  bool

		Here, Blind bool
	}
)

// Cached is a cell of a job whose output is here before the job begins, from an
// earlier one: in the store, and pinned.
type Cached struct {
	Cell   uint32
	Output job.CID
	Size   uint64
	From   job.PeerID // of a job of this node: who rendered it, if it was not checked then; "": this node
}

// Class says what a failure means for the next try.
type Class int

// Retry: another node, or this one later. Memory: fewer cells at a time.
// Diverged: the walk here is not the plan's; this node must not work on this job.
// Environment: the cell is not to blame; this machine cannot render for now, for
// want of disk or of a program.
const (
	Retry Class = iota
	Memory
	Diverged
	Environment
)

// Verdict is what a check has shown.
type Verdict int

// Undecided: it could not be found out now. Right: the cell is what this node
// renders, or looks like it. Wrong: it is not, and another walk here agrees with the
// first. Unsteady: walks here do not agree with each other.
const (
	Undecided Verdict = iota
	Right
	Wrong
	Unsteady
)

// Action is something for the node to do. The node carries out the actions of
// one Step in order; those that take time run on and answer with an event.
type Action interface{ action() }

// Actions.
type (
	// Persist writes a record to disk before any action after it is carried
	// out. Value nil deletes. After a crash in the middle a record is the old one
	// or the new one. A Persist that fails is as good as a crash: nothing after it
	// may be carried out, and when the disk writes again the node goes on with
	// Restore. Keys are slash-separated words; DecodeRecord reads a record.
	Persist struct {
		Key   string
		Value []byte
	}
	// Publish signs and gossips a message of this node.
	Publish struct{ Msg job.Message }
	// Relay gossips another author's envelope as it is.
	Relay struct{ Raw []byte }
	// Send signs a message and sends it to one peer, without an answer.
	Send struct {
		To  job.PeerID
		Msg job.Message
	}
	// Request signs a message and asks one peer; Answered follows within the
	// given time.
	Request struct {
		ID     uint64
		To     job.PeerID
		Msg    job.Message
		Within time.Duration
	}
	// Reply answers Asked. Msg nil: no answer.
	Reply struct {
		ID  uint64
		Msg job.Message
	}
	// ReplyState answers a Pull with facts. This node's own have no Raw: they
	// are signed when they are sent. What does not fit is left out, with More.
	ReplyState struct {
		ID    uint64
		Facts []job.Signed
	}
	// FetchManifest gets a job's manifest from those peers.
	FetchManifest struct {
		Job  job.ID
		From []job.PeerID
	}
	// Compare compares the pictures of two self-tests, of which that peer has the
	// second. It must end in Compared.
	Compare struct {
		A, B job.CID
		From job.PeerID
	}
	// Warm starts an idle engine of an environment, named by its fingerprint, for a
	// job that has been called, unless there is one. It is repeated.
	Warm struct{ Env string }
	// Prepare fetches the job's assets from those peers and loads an engine of that
	// environment. For a job of this node, which is only asked after Restore, it
	// plans the job again.
	Prepare struct {
		Job  job.ID
		From []job.PeerID
		Env  string
	}
	// Render renders a cell of a prepared job, or of a job of this node; Drop
	// gives up one that is being rendered, or checked.
	Render struct {
		Job  job.ID
		Cell uint32
	}
	Drop struct {
		Job  job.ID
		Cell uint32
	}
	// Check renders a collected cell of a job of this node and compares it with what a
	// peer has rendered, which is here. Exact: the bytes must be equal; else pictures
	// like enough will do. It must end in Checked, unless it is dropped.
	Check struct {
		Job    job.ID
		Cell   uint32
		Output job.CID
		Exact  bool
	}
	// Fetch brings a cell here from those peers: those that are there first. It
	// must end in Fetched or FetchFailed. Of a job of this node it is collected by
	// that; of another's it is a copy.
	Fetch struct {
		Job  job.ID
		Cell uint32
		CID  job.CID
		Size uint64
		From []job.PeerID
	}
	// Assemble says that all cells of a job of this node are collected; or, after
	// Finish, that those of another's are here: a film is made of them alone. From says
	// who has rendered those of a job of this node that other nodes have, but for what
	// was found right.
	Assemble struct {
		Job   job.ID
		Cells map[uint32]job.CID
		From  map[uint32]job.PeerID
	}
	// Release says that this node is done with a job: its engine ends, its
	// blocks are unpinned.
	Release struct{ Job job.ID }
	// Rewalk walks a scene of this node once more, beside the rendering, to find
	// out whether it plays the same each time.
	Rewalk struct{ Job job.ID }
	// RenderAlone ends a job of this node for the mesh: the scene is to be planned
	// and drawn here in one walk.
	RenderAlone struct {
		Job    job.ID
		Reason string
	}
	// Fail ends a job of this node without a film.
	Fail struct {
		Job    job.ID
		Reason string
	}
	// Sick says that this node has stopped to render for others, and why: others
	// render what fails here. Its advert is to say so. With an empty reason it is
	// well again.
	Sick struct{ Reason string }
	// Accuse says that what a peer announced for a cell, in its own Word, is not a
	// cell, or not of the size that it said; or that it is not what the scene draws:
	// then Output is what it announced, and Own what this node has rendered.
	Accuse struct {
		Peer        job.PeerID
		Job         job.ID
		Cell        uint32
		Reason      string
		Word        []byte
		Output, Own job.CID
	}
	// Disgrace says that a peer was found out: whatever it has rendered for jobs of this
	// node is not to be taken for others.
	Disgrace struct{ Peer job.PeerID }
	// Tell is news of a job for people: a peer refused, a peer lost, a range
	// adopted.
	Tell struct {
		Job  job.ID
		Text string
	}
)

func (Tick) event()            {}
func (PeerJoined) event()      {}
func (PeerLeft) event()        {}
func (Shunned) event()         {}
func (Resources) event()       {}
func (Plan) event()            {}
func (Submit) event()          {}
func (Abort) event()           {}
func (Assembled) event()       {}
func (Finish) event()          {}
func (Leave) event()           {}
func (Received) event()        {}
func (Asked) event()           {}
func (Answered) event()        {}
func (ManifestFetched) event() {}
func (Prepared) event()        {}
func (Rendered) event()        {}
func (RenderFailed) event()    {}
func (Compared) event()        {}
func (Checked) event()         {}
func (Rewalked) event()        {}
func (Lost) event()            {}
func (Fetched) event()         {}
func (FetchFailed) event()     {}

func (Persist) action()       {}
func (Publish) action()       {}
func (Relay) action()         {}
func (Send) action()          {}
func (Request) action()       {}
func (Reply) action()         {}
func (ReplyState) action()    {}
func (FetchManifest) action() {}
func (Compare) action()       {}
func (Warm) action()          {}
func (Prepare) action()       {}
func (Render) action()        {}
func (Drop) action()          {}
func (Check) action()         {}
func (Fetch) action()         {}
func (Assemble) action()      {}
func (Release) action()       {}
func (Rewalk) action()        {}
func (RenderAlone) action()   {}
func (Fail) action()          {}
func (Sick) action()          {}
func (Accuse) action()        {}
func (Disgrace) action()      {}
func (Tell) action()          {}
