// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// heard returns what a follower is told from the first event on.
func heard(t *testing.T, f *feed) (lines []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := f.follow(ctx, func(e Event) { lines = append(lines, e.Event+e.Scene+e.Text) }); err != nil {
		t.Fatal(err)
	}
	return lines
}

// Whoever comes late is told the same, but of how far it was only the latest.
func TestFeed(t *testing.T) {
	f := newFeed()
	early := make(chan []string, 1)
	go func() { early <- heard(t, f) }()
	for _, e := range []Event{
		{Event: "planning", Text: "1"}, {Event: "log", Text: "a"}, {Event: "planning", Text: "2"}, {Event: "planned"},
		{Event: "progress", Scene: "A", Text: "1"}, {Event: "progress", Scene: "B", Text: "1"}, {Event: "progress", Scene: "A", Text: "2"},
		{Event: "finished"},
	} {
		f.add(e)
	}
	f.end()
	f.add(Event{Event: "too late"})
	want := "loga planning2 planned progressB1 progressA2 finished"
	if got := strings.Join(heard(t, f), " "); !strings.HasSuffix(got, want) {
		t.Errorf("told late: %s", got)
	}
	if got := strings.Join(<-early, " "); !strings.HasSuffix(got, "progressB1 progressA2 finished") || !strings.Contains(got, "loga") {
		t.Errorf("told early: %s", got)
	}
}

// A feed keeps so much; who comes late, or reads slowly, is told that something is
// missing.
func TestFeedForgets(t *testing.T) {
	f := newFeed()
	for range 3000 {
		f.add(Event{Event: "log", Text: strings.Repeat("x", 4000)})
		f.add(Event{Event: "progress"})
	}
	f.add(Event{Event: "finished"})
	f.end()
	if f.size > feedBytes || f.size < feedBytes/2 {
		t.Errorf("%d bytes are kept", f.size)
	}
	lines := heard(t, f)
	if !strings.Contains(lines[0], "lines are left out here") || lines[len(lines)-1] != "finished" || len(lines) > 2200 {
		t.Errorf("%d lines, from %q to %q", len(lines), lines[0], lines[len(lines)-1])
	}
}

func TestFeedIsLeft(t *testing.T) {
	f := newFeed()
	f.add(Event{Event: "planned"})
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := f.follow(ctx, func(Event) { cancel(gone) }); err != gone {
		t.Errorf("follow ends with %v", err)
	}
}
