// SPDX-License-Identifier: MIT

package node

import (
	"time"

	"meshnode/job"
)

// PublishRequest is what the user typed, with his folder and environment: a job
// for this node to plan, offer, collect and assemble.
type PublishRequest struct {
	Args       []string `json:"args"`                  // arguments of `manim render`
	Dir        string   `json:"dir"`                   // absolute working folder
	Env        []string `json:"env"`                   // "key=value"
	Manim      string   `json:"manim,omitempty"`       // version to render with; "": that of the first environment
	Python     string   `json:"python,omitempty"`      // absolute path of the interpreter to render with; "": by Manim
	Strict     bool     `json:"strict,omitempty"`      // leave out nodes that draw the self-test a little differently
	Trust      string   `json:"trust,omitempty"`       // how far peers are believed: mine, spot, known, open; "": mine in a private mesh, else spot
	CellFrames uint32   `json:"cell_frames,omitempty"` // length of a cell; 0: by the grid's rule
	LocalSlots *uint32  `json:"local_slots,omitempty"` // cells of this job rendered here at a time; nil: all slots
	Assets     []string `json:"assets,omitempty"`      // files to share that the scene may not read while it is planned: paths or patterns
	Scenes     []string `json:"scenes,omitempty"`      // which of the scenes that Args are about, where they do not say so themselves
	Input      string   `json:"input,omitempty"`       // the script, where Args name the file "-"
	DryRun     bool     `json:"dry_run,omitempty"`     // plan only: nothing is sent, nothing written
	Detach     bool     `json:"detach,omitempty"`      // the client's leaving ends nothing
	Watch      bool     `json:"watch,omitempty"`       // it comes again when a file has changed: which are read is told, and an engine kept warm
	Seed       *uint64  `json:"seed,omitempty"`        // in place of one that the renderer would choose, or of that of Args
	Shown      bool     `json:"shown,omitempty"`       // the client shows the film, so the renderer does not
	Ticket     string   `json:"ticket,omitempty"`      // chosen by the client, to find the request again; "": by the node

	scene   string       // of one job of the request: of several scenes, this one
	single  bool         // the request has no other job
	resumed *publication // the job was offered before this node was started; nil: it was not
	verify  *verifying   // a dry run that compares a film; nil: it does not
	explain bool         // a dry run that draws samples, as long as CellFrames
	cells   uint32       // of an explanation: CellFrames of the job itself
}

// Event is news of a published job, in order. The last one is "finished" or
// "failed". Each kind uses the fields named beside it.
type Event struct {
	Event string `json:"event"`

	// Of several scenes, the one that the event is about; "": all, or there is
	// only one. scenes: all of them. A scene of several ends with "rendered" or
	// "unrendered", which have the fields of "finished" and "failed".
	Scene  string   `json:"scene,omitempty"`
	Scenes []string `json:"scenes,omitempty"`

	// planning: the walk has passed Frames frames in Plays plays.
	// planned: Job and the fields below describe the job.
	Job    job.ID  `json:"job,omitempty"`
	Name   string  `json:"name,omitempty"`
	Frames uint32  `json:"frames,omitempty"`
	Plays  uint32  `json:"plays,omitempty"`
	Cells  uint32  `json:"cells,omitempty"`
	Kept   uint32  `json:"kept,omitempty"` // cells that were rendered before, for an earlier job
	FPS    float64 `json:"fps,omitempty"`
	Width  uint32  `json:"width,omitempty"`
	Height uint32  `json:"height,omitempty"`
	Seed   *uint64 `json:"seed,omitempty"` // also of finished: chosen by the renderer, as none was given

	// Of a dry run: how long the job would take.
	Estimates []Estimate `json:"estimates,omitempty"`

	// read: files of the user that the plan has read, as absolute paths, if the request
	// is to Watch them; told in parts, before planned or failed.
	Paths []string `json:"paths,omitempty"`

	// watchable: Follow has the beginning of the film Name of Job. Preview: it is
	// as good as the finished one, which the renderer would show the user.
	Preview bool `json:"preview,omitempty"`

	// explained: what Explain has found. Before it, sampling: Name is planned, and
	// samples of its plays are drawn.
	Explanation *Explanation `json:"explanation,omitempty"`

	// verified: what Verify has found. Before it, progress: Done of Frames to be drawn
	// again are.
	Verification *Verification `json:"verification,omitempty"`

	// log: a line that the renderer printed. note: a line from meshnode.
	// failed: what happened, as the renderer printed it where it did.
	Text string `json:"text,omitempty"`

	// progress: frames collected of all frames, per node; repeated about five
	// times a second while something changes. assembling has none.
	Done    uint32       `json:"done,omitempty"`
	Rate    float64      `json:"rate,omitempty"` // frames per second
	Seconds float64      `json:"eta,omitempty"`  // seconds to go, estimated; 0: not known
	Nodes   []NodeFrames `json:"nodes,omitempty"`
	Checks  uint32       `json:"checks,omitempty"` // cells of others that are yet to be checked before the film is assembled

	// finished: the film.
	File   string   `json:"file,omitempty"`
	Files  []string `json:"files,omitempty"` // when there are more than one
	SHA256 string   `json:"sha256,omitempty"`

	// failed: one of the Failed… kinds.
	Kind string `json:"kind,omitempty"`
}

// Kinds of a failed event.
const (
	FailedScene    = "scene"    // the user's own error: Text is the renderer's traceback
	FailedUsage    = "usage"    // bad arguments
	FailedRender   = "render"   // no node could render it
	FailedCanceled = "canceled" // by the user
	FailedChoice   = "choice"   // which of the Scenes is not said
	FailedStopped  = "stopped"  // not for good: the node ends, and the next one of its home goes on
)

// NodeFrames is one node's part in a job.
type NodeFrames struct {
	Peer   job.PeerID `json:"peer"`
	Name   string     `json:"name"`
	Self   bool       `json:"self"`
	Frames uint32     `json:"frames"`         // collected from it
	Held   uint32     `json:"held,omitempty"` // cells it holds now
	Rate   float64    `json:"rate,omitempty"` // frames per second
	State  string     `json:"state,omitempty"`
}

// PeerStatus is one node of the mesh as this node sees it.
type PeerStatus struct {
	ID    job.PeerID `json:"id"`
	Self  bool       `json:"self,omitempty"`
	Addrs []string   `json:"addrs"`
	*job.Advert
}

// JobStatus is one job that this node knows.
type JobStatus struct {
	ID        job.ID       `json:"id"`
	Name      string       `json:"name"`
	Submitter job.PeerID   `json:"submitter"`
	From      string       `json:"from"`  // the submitter's name
	State     string       `json:"state"` // planning, open, rendering, alone, assembling, finished, failed, canceled
	Frames    uint32       `json:"frames"`
	Done      uint32       `json:"done"`
	Rate      float64      `json:"rate"`
	Seconds   float64      `json:"eta"`
	Nodes     []NodeFrames `json:"nodes,omitempty"`
	File      string       `json:"file,omitempty"`
	Text      string       `json:"text,omitempty"` // why it failed

	// Of jobs published here: when they were begun, and when they ended.
	Begun time.Time `json:"begun,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
}

// Status is what `meshnode status` prints.
type Status struct {
	Self    PeerStatus   `json:"self"`
	Mesh    string       `json:"mesh"`
	Mark    string       `json:"mark,omitempty"` // of a private mesh; see p2p.Mesh
	Home    string       `json:"home"`
	Peers   []PeerStatus `json:"peers"`
	Jobs    []JobStatus  `json:"jobs"`
	Blocks  uint64       `json:"blocks"` // bytes stored
	Clients int          `json:"clients"`
	Notes   []string     `json:"notes,omitempty"` // what keeps this node from rendering, and what to do
}
