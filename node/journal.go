// SPDX-License-Identifier: MIT

package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
	"meshnode/scheduler/journal"
)

// Journal takes down what the scheduler is told and decides, for Bundle. The loop
// alone uses it, and closes it.
type Journal interface {
	Restore(at time.Duration, records map[string][]byte, actions []scheduler.Action) error
	Step(at time.Duration, ev scheduler.Event, actions []scheduler.Action) error
	Flush() error
	io.Closer
}

// journalLimit bounds the journal of one run of a node in bytes. A busy hour took
// about 10 MiB.
const journalLimit = 128 << 20

// journalFile is a journal in the home. The one of the run before is kept beside it.
type journalFile struct {
	*journal.Writer
	file *os.File
}

// openJournal begins the journal of a node.
func (h *home) openJournal(self job.PeerID, version string) (*journalFile, error) {
	if err := os.Rename(h.path(journalNow), h.path(journalBefore)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("node: journal: %w", err)
	}
	f, err := os.OpenFile(h.path(journalNow), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("node: journal: %w", err)
	}
	w, err := journal.NewWriter(f, journalLimit, journal.Header{Self: self, Version: version, Begun: time.Now()})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &journalFile{w, f}, nil
}

// Names of journals, in the home and in a bundle.
const (
	journalNow    = "journal"
	journalBefore = "journal.before"
)

// Close writes what is buffered.
func (j *journalFile) Close() error { return errors.Join(j.Flush(), j.file.Close()) }

// note takes down one moment; ev nil: the scheduler was restored from records. A
// journal that fails is of no use from there on, and the node goes on without.
func (n *Node) note(at time.Duration, records map[string][]byte, ev scheduler.Event, actions []scheduler.Action) {
	j := n.parts.Journal
	if j == nil || n.standing {
		return
	}
	var err error
	if ev == nil {
		err = j.Restore(at, records, actions)
	} else {
		err = j.Step(at, ev, actions)
	}
	if err != nil {
		n.log.Warn("no journal is kept from here on, for \"meshnode bundle\": restart the node to begin another", "err", err)
		if err = j.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			n.log.Warn("journal not closed", "err", err)
		}
		n.parts.Journal = nil
	}
}

// restore and step are those of the scheduler, taken down.

func (n *Node) restore(s *scheduler.Scheduler, records map[string][]byte) []scheduler.Action {
	now := time.Since(n.start)
	actions := s.Restore(now, records)
	n.note(now, records, nil, actions)
	return actions
}

func (n *Node) step(s *scheduler.Scheduler, ev scheduler.Event) []scheduler.Action {
	now := time.Since(n.start)
	actions := s.Step(now, ev)
	n.note(now, nil, ev, actions)
	return actions
}

// flushJournal has what was taken down so far in the home's files.
func (n *Node) flushJournal() (err error) {
	n.ask(func(*scheduler.Scheduler) {
		if n.parts.Journal != nil {
			err = n.parts.Journal.Flush()
		}
	})
	return err
}
