// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
)

// stream is the beginning of a film of this node, for those who watch it while
// it is rendered: its cells from the first one on, as far as there is none
// missing. Those who watch keep the job's blocks here, also when it is over.
type stream struct {
	man  *job.Manifest
	grid []job.Cell

	mu      sync.Mutex // guards what follows
	cells   map[uint32]job.CID
	over    bool          // no cell comes any more
	shown   bool          // somebody shows the film in place of the renderer
	decided bool          // it is too late for that
	viewers int           // they come while Node.mu is held
	changed chan struct{} // closed, and made anew, with every change
}

func newStream(m *job.Manifest) *stream {
	return &stream{man: m, grid: m.Grid(), cells: make(map[uint32]job.CID), changed: make(chan struct{})}
}

// change does something to the stream that those who wait should know.
func (s *stream) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

// add takes a cell that has come.
func (s *stream) add(cell uint32, output job.CID) {
	s.change(func() { s.cells[cell] = output })
}

// end says that no more cells come.
func (s *stream) end() {
	s.change(func() { s.over = true })
}

// begun reports whether there is something to watch.
func (s *stream) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cells[0] != ""
}

// decide settles whether somebody shows the film in place of the renderer.
func (s *stream) decide() (shown bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decided = true
	return s.shown
}

// errIncomplete ends the watching of a job that has failed.
var errIncomplete = errors.New("node: the film ends here: its job has failed or was canceled")

// next waits for a cell and returns it.
func (s *stream) next(ctx context.Context, cell uint32) (job.CID, error) {
	for {
		s.mu.Lock()
		output, over, changed := s.cells[cell], s.over, s.changed
		s.mu.Unlock()
		switch {
		case output != "":
			return output, nil
		case over:
			return "", errIncomplete
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// endStream returns when nobody watches a job any more that is over.
func (n *Node) endStream(id job.ID) {
	for {
		changed := n.letGo(id)
		if changed == nil {
			return
		}
		select {
		case <-changed:
		case <-n.ctx.Done():
		}
	}
}

// letGo forgets the stream of a job, and returns nil, unless somebody watches
// it.
func (n *Node) letGo(id job.ID) (changed <-chan struct{}) {
	n.mu.Lock() // held: nobody comes meanwhile
	defer n.mu.Unlock()
	s := n.streams[id]
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.viewers > 0 && n.ctx.Err() == nil {
		return s.changed
	}
	delete(n.streams, id)
	return nil
}

// toStream lets those who watch a job have a cell of it.
func (n *Node) toStream(id job.ID, cell uint32, output job.CID) {
	n.mu.Lock()
	s := n.streams[id]
	n.mu.Unlock()
	if s != nil {
		s.add(cell, output)
	}
}

// FollowRequest says how a film is to be watched.
type FollowRequest struct {
	// Preview: the client shows it to the user in place of the renderer, which
	// would open the finished film.
	Preview bool `json:"preview"`
}

// Viewing is a film being watched while it is rendered. It must be ended.
type Viewing struct {
	Name string // of the scene

	node   *Node
	stream *stream
	end    sync.Once
}

// Follow begins to watch a job published here, named as for Cancel.
func (n *Node) Follow(id string, req FollowRequest) (*Viewing, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	found, err := meant(maps.All(n.streams), id)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("no job with the id %q is rendered for this node to an mp4 film: see \"meshnode jobs\"", id)
	}
	if req.Preview {
		found.mu.Lock()
		taken := found.decided || found.shown
		found.shown = found.shown || !taken
		found.mu.Unlock()
		if taken {
			return nil, errors.New("the film is being shown already")
		}
	}
	found.change(func() { found.viewers++ })
	return &Viewing{Name: found.man.Name, node: n, stream: found}, nil
}

// End lets the film go.
func (v *Viewing) End() {
	v.end.Do(func() { v.stream.change(func() { v.stream.viewers-- }) })
}

// Write writes the film to w as its cells come, and calls flush after each. It
// returns when the whole film is written, or with an error when the job fails.
func (v *Viewing) Write(ctx context.Context, w io.Writer, flush func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(v.node.ctx, func() { cancel(errors.New("the node is stopping")) })()
	film := v.node.parts.Renderer.(renderer.Streamer).Stream(w, v.stream.man.Frames())
	for _, c := range v.stream.grid {
		output, err := v.stream.next(ctx, c.Index)
		if err != nil {
			return err
		}
		if err := v.writeCell(ctx, film, c, output); err != nil {
			if ctx.Err() == nil { // else the client has gone
				v.node.log.Info("film not shown to its end", "scene", v.Name, "cell", c.Index, "err", err)
			}
			return fmt.Errorf("cell %d: %w", c.Index, err)
		}
		flush()
	}
	return nil
}

func (v *Viewing) writeCell(ctx context.Context, film renderer.Stream, c job.Cell, output job.CID) error {
	store := v.node.parts.Store
	block, err := store.Block(ctx, output, nil)
	if err != nil {
		return err
	}
	set, err := job.DecodeFileSet(block)
	if err != nil {
		return err
	}
	if len(set.Files) != 1 {
		return fmt.Errorf("%d files where there should be one", len(set.Files))
	}
	file := set.Files[0]
	return film.Add(&storedFile{ctx: ctx, store: store, file: file}, int64(file.Size), int(c.Frames))
}

// storedFile reads a file out of the store, with one block in memory.
type storedFile struct {
	ctx   context.Context
	store blockstore.Store
	file  job.File
	at    int64 // index of block
	block []byte
}

// ReadAt implements io.ReaderAt. It is not safe for concurrent use.
func (f *storedFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		if off < 0 || off >= int64(f.file.Size) {
			return n, io.EOF
		}
		if at := off / job.MaxBlock; f.block == nil || at != f.at {
			if f.block, err = f.store.Block(f.ctx, f.file.Blocks[at], nil); err != nil {
				return n, err
			}
			f.at = at
		}
		part := copy(p[n:], f.block[min(off%job.MaxBlock, int64(len(f.block))):])
		if part == 0 {
			return n, io.ErrUnexpectedEOF
		}
		n += part
		off += int64(part)
	}
	return n, nil
}
