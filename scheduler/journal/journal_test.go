// SPDX-License-Identifier: MIT

package journal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
	"meshnode/scheduler/journal"
	"meshnode/scheduler/sim"
)

// keeper is a scheduler that keeps a journal.
type keeper struct {
	*scheduler.Scheduler
	t    *testing.T
	file bytes.Buffer
	w    *journal.Writer
}

func (k *keeper) Restore(now time.Duration, records map[string][]byte) []scheduler.Action {
	actions := k.Scheduler.Restore(now, records)
	k.check(k.w.Restore(now, records, actions))
	return actions
}

func (k *keeper) Step(now time.Duration, ev scheduler.Event) []scheduler.Action {
	actions := k.Scheduler.Step(now, ev)
	k.check(k.w.Step(now, ev, actions))
	return actions
}

func (k *keeper) check(err error) {
	if err != nil {
		k.t.Fatal(err)
	}
}

// journals runs a random mesh, with faults of every kind, and returns the journal of
// each life of each of its nodes.
func journals(t *testing.T, seed uint64) []*keeper {
	t.Helper()
	var all []*keeper
	s := sim.New(sim.Random(seed))
	s.New = func(cfg scheduler.Config) sim.Machine {
		k := &keeper{Scheduler: scheduler.New(cfg), t: t}
		var err error
		k.w, err = journal.NewWriter(&k.file, 1<<30, journal.Header{Self: cfg.Self, Times: cfg.Times, Begun: time.Now()})
		k.check(err)
		all = append(all, k)
		return k
	}
	if err := s.Run(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	for _, k := range all {
		k.check(k.w.Flush())
	}
	return all
}

// A scheduler that is told the same again decides the same, in every life of every
// node, whatever has happened to it.
func TestReplay(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 8
	}
	kinds := make(map[string]int)
	for seed := range seeds {
		for life, k := range journals(t, seed+1) {
			moments, restored := 0, 0
			err := journal.Replay(&k.file, func(journal.Header) {}, func(m journal.Moment) {
				if moments++; !m.Same {
					t.Fatalf("seed %d, life %d: at %v %T: %.2000s is not what was decided then", seed+1, life, m.At, m.Event, fmt.Sprintf("%+v", m.Actions))
				}
				if m.Event == nil {
					restored++
				}
				kinds[kindOf(m.Event)]++
			})
			if err != nil || restored != 1 {
				t.Fatalf("seed %d, life %d: %d moments, %d times restored: %v", seed+1, life, moments, restored, err)
			}
		}
	}
	t.Log(kinds)
	for _, kind := range []string{"Received", "Asked", "Answered", "Prepared", "Rendered", "Fetched", "Submit"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s has happened", kind)
		}
	}
}

func kindOf(ev scheduler.Event) string {
	if ev == nil {
		return "restored"
	}
	return journal.Kind(ev)
}

// One that decides otherwise is noticed.
func TestReplayDiffers(t *testing.T) {
	differ := 0
	for _, k := range journals(t, 1) {
		data := k.file.Bytes()
		var head journal.Header
		if err := journal.Replay(bytes.NewReader(data), func(h journal.Header) { head = h }, func(journal.Moment) {}); err != nil {
			t.Fatal(err)
		}
		head.Times.Progress = 10 * time.Second
		var other bytes.Buffer
		w, err := journal.NewWriter(&other, 1<<30, head)
		if err != nil || w.Flush() != nil {
			t.Fatal(err)
		}
		size, n := binary.Uvarint(data) // of the header
		other.Write(data[n+int(size):])
		if err := journal.Replay(&other, func(journal.Header) {}, func(m journal.Moment) {
			if !m.Same {
				differ++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if differ == 0 {
		t.Error("repeating claims ten times as seldom has changed no decision")
	}
}

// Every event that a scheduler knows can be kept.
func TestAllEvents(t *testing.T) {
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "event" && fn.Recv != nil {
				if kind := fn.Recv.List[0].Type.(*ast.Ident).Name; !journal.Knows(kind) {
					t.Errorf("the journal does not know the event %s", kind)
				}
			}
		}
	}
}

// What is full ends, and what is left of it can be replayed.
func TestFull(t *testing.T) {
	var file bytes.Buffer
	w, err := journal.NewWriter(&file, 2000, journal.Header{Self: "self"})
	if err != nil {
		t.Fatal(err)
	}
	s := scheduler.New(scheduler.Config{Self: "self"})
	if err := w.Restore(0, nil, s.Restore(0, nil)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; err == nil; n++ {
		ev := scheduler.PeerLeft{Peer: job.PeerID(strings.Repeat("p", 50))}
		err = w.Step(time.Duration(n), ev, s.Step(time.Duration(n), ev))
	}
	if !errors.Is(err, journal.ErrFull) || w.Flush() != nil || file.Len() > 2000 {
		t.Fatalf("%v after %d bytes", err, file.Len())
	}
	moments := 0
	if err := journal.Replay(&file, func(journal.Header) {}, func(journal.Moment) { moments++ }); err != nil || moments != n {
		t.Errorf("%d moments of %d: %v", moments, n, err)
	}
}

// Whatever a file holds, it is replayed, or refused.
func FuzzReplay(f *testing.F) {
	var file bytes.Buffer
	w, err := journal.NewWriter(&file, 1<<20, journal.Header{Self: "self"})
	if err != nil {
		f.Fatal(err)
	}
	s := scheduler.New(scheduler.Config{Self: "self"})
	w.Restore(0, map[string][]byte{"job/x": {1}}, s.Restore(0, map[string][]byte{"job/x": {1}}))
	for i, ev := range []scheduler.Event{scheduler.Tick{}, scheduler.PeerLeft{Peer: "p"}, scheduler.Compared{A: "a", B: "b", Err: job.ErrCompare}, scheduler.Prepared{Job: "j"}} {
		w.Step(time.Duration(i), ev, s.Step(time.Duration(i), ev))
	}
	if err := w.Flush(); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = journal.Replay(bytes.NewReader(data), func(journal.Header) {}, func(journal.Moment) {})
	})
}
