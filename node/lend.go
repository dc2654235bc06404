// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// Limits on what a submitter lends of its project beside a job's assets.
const (
	maxLent      = 64 << 20  // bytes of a file
	maxLentBytes = 256 << 20 // of a job
	maxLentFiles = 1_000     // of a job
)

// lender hands files of a project to workers whose walks open what the plan did
// not: only names that the plan has told of, each as it was when first asked
// for.
type lender struct {
	root  string
	names map[string]bool

	mu    sync.Mutex // guards what follows; held while a file is imported
	lent  map[string]job.CID
	bytes int64
	told  map[told]bool
}

// told is what the log has of a request.
type told struct {
	to   job.PeerID
	path string
}

func newLender(plan *renderer.Plan) *lender {
	l := &lender{root: plan.Root, names: make(map[string]bool, len(plan.Lendable)), lent: make(map[string]job.CID), told: make(map[told]bool)}
	for _, name := range plan.Lendable {
		l.names[name] = true
	}
	return l
}

// lend answers a peer's Missing. A peer that holds no cells of the job gets
// nothing.
func (n *Node) lend(ctx context.Context, asked job.Signed) job.Message {
	return n.lendTo(ctx, asked.From, asked.Msg.(*job.Missing))
}

// lendTo lends to a peer, or to an engine of this node.
func (n *Node) lendTo(ctx context.Context, to job.PeerID, m *job.Missing) *job.Supplied {
	refuse := func(reason string) *job.Supplied {
		return &job.Supplied{Job: m.Job, Path: m.Path, Reason: job.Clip(reason)}
	}
	var l *lender
	n.toPublication(m.Job, func(p *publication) { l = p.lender })
	if l == nil {
		return refuse("the job is over")
	}
	holds := to == n.self
	if !holds {
		n.ask(func(s *scheduler.Scheduler) { holds = s.Holds(m.Job, to) })
	}
	if !holds {
		n.log.Debug("file not lent: the asker holds no cells", "job", m.Job.Short(), "path", m.Path, "to", n.nameOf(to))
		no := refuse("this node holds no cells of the job")
		no.Again = true
		return no
	}
	cid, first, err := l.file(ctx, n.parts.Store, m)
	if err != nil {
		n.log.Log(ctx, l.level(slog.LevelWarn, to, m.Path), "file not lent", "job", m.Job.Short(), "path", m.Path, "to", n.nameOf(to), "err", err)
		return refuse(err.Error())
	}
	n.log.Log(ctx, l.level(slog.LevelInfo, to, m.Path), "file lent that the plan did not read", "job", m.Job.Short(), "path", m.Path, "to", n.nameOf(to))
	if first {
		n.toPublication(m.Job, func(p *publication) {
			p.emit(Event{Event: "note", Text: fmt.Sprintf(
				"a renderer opened %s, which the plan did not read: it is shared with the mesh now; the log names others like it", m.Path)})
		})
	}
	return &job.Supplied{Job: m.Job, Path: m.Path, Files: cid}
}

// file returns the set of that one file. first: no file was lent before it.
// Errors are for the asker, and say nothing of other files.
func (l *lender) file(ctx context.Context, store blockstore.Store, m *job.Missing) (cid job.CID, first bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cid, ok := l.lent[m.Path]; ok {
		return cid, false, nil
	}
	if !l.names[m.Path] {
		return "", false, errors.New("it is no file of the project that the plan has named")
	}
	if len(l.lent) >= maxLentFiles {
		return "", false, fmt.Errorf("%d files have been lent already: name it with --asset", len(l.lent))
	}
	f, size, err := openLent(l.root, m.Path)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	switch {
	case size > maxLent:
		return "", false, fmt.Errorf("it has %d MiB, at most %d are lent: name it with --asset", size>>20, maxLent>>20)
	case l.bytes+size > maxLentBytes:
		return "", false, fmt.Errorf("%d MiB have been lent already: name it with --asset", l.bytes>>20)
	}
	source := blockstore.Source{Path: m.Path, Size: size, Open: func() (io.ReadCloser, error) { return io.NopCloser(f), nil }}
	cid, _, err = store.Import(ctx, []blockstore.Source{source})
	if err == nil {
		err = store.Pin(ctx, string(m.Job), cid)
	}
	if err != nil {
		return "", false, fmt.Errorf("not stored by the submitter: %w", err)
	}
	l.lent[m.Path] = cid
	l.bytes += size
	return cid, len(l.lent) == 1, nil
}

// level is how a request is logged: the first of a peer for a file at that
// level, so that a peer that asks again and again does not fill the log.
func (l *lender) level(first slog.Level, to job.PeerID, path string) slog.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := told{to, path}
	if l.told[one] || len(l.told) >= 10*maxLentFiles {
		return slog.LevelDebug
	}
	l.told[one] = true
	return first
}

// openLent opens a file below a project's root, and returns its size in bytes.
// Links are followed inside the root only, and never to what is hidden.
func openLent(root, name string) (*os.File, int64, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, 0, errors.New("the project's folder is gone")
	}
	at, err := filepath.EvalSymlinks(filepath.Join(real, filepath.FromSlash(name)))
	if err != nil {
		return nil, 0, errors.New("it is gone")
	}
	inside, err := filepath.Rel(real, at)
	if err != nil || !filepath.IsLocal(inside) {
		return nil, 0, errors.New("it is a link out of the project")
	}
	for part := range strings.SplitSeq(filepath.ToSlash(inside), "/") {
		if strings.HasPrefix(part, ".") {
			return nil, 0, errors.New("it is hidden")
		}
	}
	folder, err := os.OpenRoot(real) // should a folder on the way become a link only now
	if err != nil {
		return nil, 0, errors.New("the project's folder cannot be read")
	}
	defer folder.Close()
	// A pipe would wait for its other end.
	if info, err := folder.Lstat(inside); err != nil || !info.Mode().IsRegular() {
		return nil, 0, errors.New("it is not a regular file")
	}
	f, err := folder.Open(inside)
	if err != nil {
		return nil, 0, errors.New("it cannot be read")
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, 0, errors.New("it is not a regular file")
	}
	return f, info.Size(), nil
}
