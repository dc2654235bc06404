// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"strings"

	"meshnode/job"
)

// kindOf returns the name of a message's type.
func kindOf(m job.Message) string {
	switch m.(type) { // what there is most of, without asking for its type's name
	case *job.Progress:
		return "Progress"
	case *job.Done:
		return "Done"
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*job.")
}

// name returns the number of a node.
func (s *Sim) name(id job.PeerID) string {
	if n := s.byID[id]; n != nil {
		return fmt.Sprint(n.Number)
	}
	return "nobody"
}

// words says what a message says, for the trace.
func (s *Sim) words(m job.Message) string {
	if s.Trace == nil {
		return ""
	}
	name := func(id job.ID) string {
		if j := s.job(id); j != nil {
			return fmt.Sprint("job ", j.Number)
		}
		return "a job"
	}
	switch m := m.(type) {
	case *job.Ready:
		return fmt.Sprintf("slots %d queue %.1f", m.Slots, m.Queue)
	case *job.Offer:
		var who []string
		for _, r := range m.Roster {
			who = append(who, s.name(r.Peer))
		}
		return fmt.Sprintf("%s roster %v", name(m.Job), who)
	case *job.Claim:
		granted := ""
		if m.Grant != nil {
			granted = " granted"
		}
		return fmt.Sprintf("%s %v gen %d%s", name(m.Job), m.Range, m.Gen, granted)
	case *job.Progress:
		text := fmt.Sprintf("idle %d", m.Idle)
		for _, h := range m.Held {
			text += fmt.Sprintf(", %s %v gen %d rate %.1f", name(h.Job), h.Left, h.Gen, h.Rate)
		}
		return text
	case *job.Released:
		return fmt.Sprintf("%s %v gen %d cause %d %s", name(m.Job), m.Range, m.Gen, m.Cause, m.Reason)
	case *job.Done:
		return fmt.Sprintf("%s cell %d gen %d", name(m.Job), m.Cell, m.Gen)
	case *job.Split:
		return name(m.Job)
	case *job.Grant:
		return fmt.Sprintf("%s %v gen %d to %s hint %s", name(m.Job), m.Range, m.Gen, s.name(m.To), s.name(m.Hint))
	case *job.Collected:
		return fmt.Sprintf("%s %v final %v epoch %d", name(m.Job), m.Cells, m.Final, m.Epoch)
	case *job.Revoked:
		return fmt.Sprintf("%s %s: %s", name(m.Job), s.name(m.Peer), m.Reason)
	case *job.Cancel:
		return fmt.Sprintf("%s %s", name(m.Job), m.Reason)
	case *job.Pull:
		text := ""
		for _, k := range m.Known {
			text += fmt.Sprintf("%s %v over %v, ", name(k.Job), k.Cells, k.Over)
		}
		return text
	case *job.State:
		return fmt.Sprintf("%d facts, more %v", len(m.Facts), m.More)
	}
	return ""
}
