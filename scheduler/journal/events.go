// SPDX-License-Identifier: MIT

package journal

import (
	"errors"
	"fmt"
	"reflect"

	"meshnode/job"
	"meshnode/scheduler"
)

// plain are the events that CBOR has words for as they are.
var plain = kinds(
	scheduler.Tick{}, scheduler.PeerJoined{}, scheduler.PeerLeft{}, scheduler.Shunned{}, scheduler.Resources{}, scheduler.Plan{},
	scheduler.Submit{}, scheduler.Abort{}, scheduler.Assembled{}, scheduler.Finish{}, scheduler.Leave{}, scheduler.ManifestFetched{},
	scheduler.Rendered{}, scheduler.RenderFailed{}, scheduler.Checked{}, scheduler.Rewalked{}, scheduler.Lost{}, scheduler.Fetched{}, scheduler.FetchFailed{},
)

// special are those with messages, which are kept as their envelopes, or with errors.
var special = kinds(scheduler.Received{}, scheduler.Asked{}, scheduler.Answered{}, scheduler.Prepared{}, scheduler.Compared{})

func kinds(events ...scheduler.Event) map[string]reflect.Type {
	m := make(map[string]reflect.Type, len(events))
	for _, ev := range events {
		m[Kind(ev)] = reflect.TypeOf(ev)
	}
	return m
}

// Kind is the name of an event's type.
func Kind(ev scheduler.Event) string { return reflect.TypeOf(ev).Name() }

// Knows reports whether a journal can keep events of that kind.
func Knows(kind string) bool { return plain[kind] != nil || special[kind] != nil }

// told is the body of a special event. Each uses some fields.
type told struct {
	ID    uint64   `cbor:"id,omitempty"`
	Raw   []byte   `cbor:"raw,omitempty"`
	Facts [][]byte `cbor:"facts,omitempty"`
	Job   job.ID   `cbor:"job,omitempty"`
	A     job.CID  `cbor:"a,omitempty"`
	B     job.CID  `cbor:"b,omitempty"`
	Err   *string  `cbor:"err,omitempty"`
	Here  bool     `cbor:"here,omitempty"` // the error wraps job.ErrCompare
}

// word returns what is written of an event.
func word(ev scheduler.Event) (kind string, body any) {
	kind = Kind(ev)
	switch ev := ev.(type) {
	case scheduler.Received:
		return kind, told{Raw: ev.Raw}
	case scheduler.Asked:
		return kind, told{ID: ev.ID, Raw: ev.Raw}
	case scheduler.Answered:
		t := told{ID: ev.ID, Raw: ev.Raw}
		for _, f := range ev.Facts {
			t.Facts = append(t.Facts, f.Raw)
		}
		return kind, t
	case scheduler.Prepared:
		return kind, told{Job: ev.Job, Err: text(ev.Err)}
	case scheduler.Compared:
		return kind, told{A: ev.A, B: ev.B, Err: text(ev.Err), Here: errors.Is(ev.Err, job.ErrCompare)}
	}
	return kind, ev
}

func text(err error) *string {
	if err == nil {
		return nil
	}
	s := err.Error()
	return &s
}

// event is the opposite of word.
func event(kind string, body []byte) (scheduler.Event, error) {
	if t, ok := plain[kind]; ok {
		v := reflect.New(t)
		if err := decode(body, v.Interface()); err != nil {
			return nil, err
		}
		return v.Elem().Interface().(scheduler.Event), nil
	}
	if special[kind] == nil {
		return nil, fmt.Errorf("no event %.40q is known", kind)
	}
	var t told
	if err := decode(body, &t); err != nil {
		return nil, err
	}
	signed, err := open(t.Raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Received":
		return scheduler.Received{Signed: signed}, nil
	case "Asked":
		return scheduler.Asked{ID: t.ID, Signed: signed}, nil
	case "Answered":
		ev := scheduler.Answered{ID: t.ID, Signed: signed}
		for _, raw := range t.Facts {
			fact, err := open(raw)
			if err != nil {
				return nil, err
			}
			ev.Facts = append(ev.Facts, fact)
		}
		return ev, nil
	case "Prepared":
		return scheduler.Prepared{Job: t.Job, Err: failure(t)}, nil
	}
	return scheduler.Compared{A: t.A, B: t.B, Err: failure(t)}, nil
}

// open opens an envelope, which was verified when it came. None: no message.
func open(raw []byte) (job.Signed, error) {
	if len(raw) == 0 {
		return job.Signed{}, nil
	}
	return job.Open(believer{}, raw)
}

type believer struct{}

func (believer) Verify(job.PeerID, []byte, []byte) error { return nil }

// failure is an error with the words, and the meaning, of one of then.
func failure(t told) error {
	if t.Err == nil {
		return nil
	}
	return &failed{*t.Err, t.Here}
}

type failed struct {
	text string
	here bool
}

func (f *failed) Error() string { return f.text }

func (f *failed) Is(target error) bool { return f.here && target == job.ErrCompare }
