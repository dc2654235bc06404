// SPDX-License-Identifier: MIT

package node

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
	"meshnode/scheduler/journal"
)

// Limits of a bundle from somebody else.
const (
	maxAbout  = 4 << 20
	maxUnzips = 4 << 30 // bytes of all files together
)

// Step is one moment of a replayed journal.
type Step struct {
	At      time.Time
	Event   scheduler.Event // nil: the node has started
	Actions []scheduler.Action
	Same    bool // this program decides as the node did then
}

// Replay runs the journals of a bundle through the scheduler of this program, and
// tells look every step; with none it leaves them out. It returns what the bundle is
// about.
func Replay(r io.Reader, look func(Step)) (*BundleInfo, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("not a bundle: %w", err)
	}
	in := tar.NewReader(io.LimitReader(zip, maxUnzips))
	var about *BundleInfo
	for {
		h, err := in.Next()
		if err == io.EOF || err == nil && about != nil && strings.HasPrefix(path.Clean(h.Name), bundleAssets) {
			break // the job's files come last, and may be large
		}
		if err != nil {
			return nil, fmt.Errorf("not a bundle: %w", err)
		}
		switch path.Clean(h.Name) {
		case bundleAbout:
			if h.Size > maxAbout {
				return nil, fmt.Errorf("not a bundle: %s has %d bytes", h.Name, h.Size)
			}
			about = new(BundleInfo)
			if err := json.NewDecoder(in).Decode(about); err != nil {
				return nil, fmt.Errorf("not a bundle: %s: %w", h.Name, err)
			}
		case journalNow, journalBefore:
			if look == nil {
				continue
			}
			var begun time.Time
			if err := journal.Replay(in, func(h journal.Header) { begun = h.Begun }, func(m journal.Moment) {
				look(Step{At: begun.Add(m.At), Event: m.Event, Actions: m.Actions, Same: m.Same})
			}); err != nil {
				return nil, err
			}
		}
	}
	if about == nil {
		return nil, errors.New("not a bundle: it does not say what it is about")
	}
	return about, nil
}

// Words describes a step, for people: the event, and each action behind an arrow.
// Identifiers are as long as they are.
func (s Step) Words() []string {
	words := []string{"restored"}
	if s.Event != nil {
		words[0] = describeEvent(s.Event)
	}
	for _, a := range s.Actions {
		words = append(words, "> "+describeAction(a))
	}
	return words
}

func describeEvent(ev scheduler.Event) string {
	kind := journal.Kind(ev)
	switch ev := ev.(type) {
	case scheduler.Received:
		return kind + " " + describeMessage(ev.Signed)
	case scheduler.Asked:
		return fmt.Sprintf("%s %d %s", kind, ev.ID, describeMessage(ev.Signed))
	case scheduler.Answered:
		text := fmt.Sprintf("%s %d %s", kind, ev.ID, describeMessage(ev.Signed))
		for _, f := range ev.Facts {
			text += "; " + describeMessage(f)
		}
		return text
	case scheduler.Prepared:
		return fmt.Sprintf("%s %s %v", kind, ev.Job, ev.Err)
	case scheduler.Compared:
		return fmt.Sprintf("%s %s %s %v", kind, ev.A, ev.B, ev.Err)
	}
	return kind + " " + inJSON(ev)
}

func describeMessage(m job.Signed) string {
	if m.Msg == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s from %s %s", kindOfMessage(m.Msg), m.From, inJSON(m.Msg))
}

func kindOfMessage(m job.Message) string { return strings.TrimPrefix(fmt.Sprintf("%T", m), "*job.") }

func describeAction(a scheduler.Action) string {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", a), "scheduler.")
	switch a := a.(type) {
	case scheduler.Persist:
		return fmt.Sprintf("%s %s (%d bytes)", kind, a.Key, len(a.Value))
	case scheduler.Publish:
		return fmt.Sprintf("%s %s %s", kind, kindOfMessage(a.Msg), inJSON(a.Msg))
	case scheduler.Relay:
		return fmt.Sprintf("%s (%d bytes)", kind, len(a.Raw))
	case scheduler.ReplyState:
		return fmt.Sprintf("%s %d (%d facts)", kind, a.ID, len(a.Facts))
	}
	return kind + " " + inJSON(a)
}

func inJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	return string(text)
}

// About reports whether a step is about a job: whether its words name it.
func (s Step) About(id job.ID) bool {
	return slices.ContainsFunc(s.Words(), func(w string) bool { return strings.Contains(w, string(id)) })
}
