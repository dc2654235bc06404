// SPDX-License-Identifier: MIT

// Package journal keeps what a scheduler was told, and when: all that its decisions
// follow from. Replay makes the same scheduler decide again.
//
// A journal is a sequence of entries, each with its length before it, an unsigned
// varint. The first is a Header; the others are CBOR of type entry. The records that a
// scheduler was restored from come before its "restore", then the events of its life.
package journal

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"meshnode/job"
	"meshnode/scheduler"
)

// version is that of the format.
const version = 1

// maxEntry bounds an entry in bytes: the largest hold a manifest, or the facts of a
// State, each within 1 MiB.
const maxEntry = 8 << 20

// Header says whose journal it is.
type Header struct {
	V       int             `cbor:"v"`
	Self    job.PeerID      `cbor:"self"`
	Version string          `cbor:"version"` // of meshnode
	Begun   time.Time       `cbor:"begun"`   // of the scheduler's clock
	Times   scheduler.Times `cbor:"times"`
}

// entry is what happened at one moment.
type entry struct {
	At   time.Duration   `cbor:"at"`
	Kind string          `cbor:"kind"` // "record", "restore", or an event's
	Body cbor.RawMessage `cbor:"body,omitempty"`
	Sum  []byte          `cbor:"sum,omitempty"` // of the actions that followed
}

// record is the body of a "record".
type record struct {
	Key   string `cbor:"key"`
	Value []byte `cbor:"value"`
}

// ErrFull ends a journal that has reached its limit.
var ErrFull = errors.New("journal: full")

// Writer writes a journal. It is not safe for concurrent use.
type Writer struct {
	w    *bufio.Writer
	left int64
	err  error
}

// NewWriter begins a journal of at most limit bytes.
func NewWriter(w io.Writer, limit int64, h Header) (*Writer, error) {
	j := &Writer{w: bufio.NewWriter(w), left: limit}
	h.V = version
	return j, j.write(&h)
}

// Restore notes that a new scheduler was restored from records. After an error, which
// it returns each time, a Writer writes nothing more: a journal has no gaps.
func (j *Writer) Restore(at time.Duration, records map[string][]byte, actions []scheduler.Action) error {
	for _, key := range slices.Sorted(maps.Keys(records)) {
		if err := j.add(at, "record", record{key, records[key]}, nil); err != nil {
			return err
		}
	}
	return j.add(at, "restore", nil, sumOf(actions))
}

// Step notes an event, and what followed.
func (j *Writer) Step(at time.Duration, ev scheduler.Event, actions []scheduler.Action) error {
	kind, body := word(ev)
	return j.add(at, kind, body, sumOf(actions))
}

// Flush writes what is buffered.
func (j *Writer) Flush() error { return j.w.Flush() }

func (j *Writer) add(at time.Duration, kind string, body any, sum []byte) error {
	if j.err != nil {
		return j.err
	}
	e := entry{At: at, Kind: kind, Sum: sum}
	if body != nil {
		if e.Body, j.err = cbor.Marshal(body); j.err != nil {
			j.err = fmt.Errorf("journal: %s: %w", kind, j.err)
			return j.err
		}
	}
	return j.write(&e)
}

func (j *Writer) write(v any) error {
	data, err := cbor.Marshal(v)
	size := binary.AppendUvarint(nil, uint64(len(data)))
	switch j.left -= int64(len(size) + len(data)); {
	case err != nil:
	case len(data) > maxEntry:
		err = fmt.Errorf("an entry of %d bytes", len(data))
	case j.left < 0:
		j.err = ErrFull
		return j.err
	default:
		_, err = j.w.Write(append(size, data...))
	}
	if err != nil {
		j.err = fmt.Errorf("journal: %w", err)
	}
	return j.err
}

// sumOf tells actions from others.
func sumOf(actions []scheduler.Action) []byte {
	if len(actions) == 0 {
		return nil
	}
	h := sha256.New()
	enc := sorting.NewEncoder(h)
	for _, a := range actions {
		fmt.Fprintf(h, "%T ", a)
		if err := enc.Encode(a); err != nil { // of types that CBOR has words for
			panic(err)
		}
	}
	return h.Sum(nil)[:8]
}

// Moment is one step of a scheduler that decides again.
type Moment struct {
	At      time.Duration
	Event   scheduler.Event // nil: it was restored
	Actions []scheduler.Action
	Same    bool // the actions are those of then
}

// ErrInvalid is wrapped by errors about what is no journal.
var ErrInvalid = errors.New("journal: not one, or a damaged one")

// Replay tells look every moment of a journal, in order, with what a scheduler of this
// program decides. A journal whose last entry is cut off ends there.
func Replay(r io.Reader, begin func(Header), look func(Moment)) error {
	in := bufio.NewReader(r)
	var h Header
	if err := read(in, &h); err != nil {
		return fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if h.V != version {
		return fmt.Errorf("%w: version %d", ErrInvalid, h.V)
	}
	begin(h)
	var s *scheduler.Scheduler
	records := make(map[string][]byte)
	for {
		var e entry
		switch err := read(in, &e); {
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("%w: %v", ErrInvalid, err)
		}
		m := Moment{At: e.At}
		switch e.Kind {
		case "record":
			var rec record
			if err := decode(e.Body, &rec); err != nil {
				return fmt.Errorf("%w: record: %v", ErrInvalid, err)
			}
			records[rec.Key] = rec.Value
			continue
		case "restore":
			s = scheduler.New(scheduler.Config{Self: h.Self, Times: h.Times})
			m.Actions = s.Restore(e.At, records)
			records = make(map[string][]byte)
		default:
			if s == nil {
				return fmt.Errorf("%w: an event before there is a scheduler", ErrInvalid)
			}
			var err error
			if m.Event, err = event(e.Kind, e.Body); err != nil {
				return fmt.Errorf("%w: %s: %v", ErrInvalid, e.Kind, err)
			}
			m.Actions = s.Step(e.At, m.Event)
		}
		m.Same = string(sumOf(m.Actions)) == string(e.Sum)
		look(m)
	}
}

func read(in *bufio.Reader, v any) error {
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return err
	}
	if size > maxEntry {
		return fmt.Errorf("an entry of %d bytes", size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(in, data); err != nil {
		return io.ErrUnexpectedEOF
	}
	return decode(data, v)
}

// sorting writes the same for the same map.
var sorting = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

// reading bounds what is decoded.
var reading = func() cbor.DecMode {
	mode, err := cbor.DecOptions{MaxArrayElements: 1 << 20, MaxMapPairs: 1 << 20, MaxNestedLevels: 32}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

func decode(data []byte, v any) error { return reading.Unmarshal(data, v) }
