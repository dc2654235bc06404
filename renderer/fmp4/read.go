// SPDX-License-Identifier: MIT

package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrFile is wrapped when a file is not one that can be joined.
var ErrFile = errors.New("fmp4: not a film's part")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFile, fmt.Sprintf(format, args...))
}

// Limits of a file.
const (
	maxBoxes     = 64       // on its top level
	headRoom     = 64 << 10 // bytes of its index, beside
	perFrame     = 32       // these for each frame
	maxFrames    = 1 << 22
	maxFrameSize = 64 << 20 // bytes
)

// track is what one file says of its pictures.
type track struct {
	width, height uint16
	headers       []byte   // of the decoder: the body of avcC
	scale         uint32   // units of time in a second
	tick          uint32   // units that a picture is shown
	delay         uint32   // units by which the file delays its pictures, for those that refer to later ones
	samples       []sample // in the order of decoding
}

// sample is one encoded picture.
type sample struct {
	at    int64 // in the file
	size  uint32
	shift int32 // units from when it is decoded to when it is shown
	key   bool  // refers to no other
}

// read reads the index of a file of so many frames.
func read(file io.ReaderAt, size int64, frames int) (*track, error) {
	if frames < 1 || frames > maxFrames {
		return nil, fmt.Errorf("fmp4: a part of %d frames", frames)
	}
	moov, err := index(file, size, headRoom+perFrame*int64(frames))
	if err != nil {
		return nil, err
	}
	t := new(track)
	traks := 0
	err = each(moov, func(kind string, body []byte) error {
		if kind != "trak" {
			return nil
		}
		if traks++; traks > 1 {
			return refuse("more than one track")
		}
		return t.readTrack(body, size, frames)
	})
	if err == nil && len(t.samples) != frames {
		err = refuse("%d frames where there are to be %d", len(t.samples), frames)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// index finds the moov box among those on the top level, and reads it.
func index(file io.ReaderAt, size, most int64) ([]byte, error) {
	at := int64(0)
	for range maxBoxes {
		var head [16]byte
		if n, err := file.ReadAt(head[:min(16, max(0, size-at))], at); n < 8 {
			return nil, refuse("it ends without an index (%v)", err)
		}
		length := int64(binary.BigEndian.Uint32(head[:]))
		if length == 1 {
			length = int64(min(binary.BigEndian.Uint64(head[8:]), math.MaxInt64))
		}
		if length < 8 || length > size-at {
			return nil, refuse("a box of %d bytes at byte %d of %d", length, at, size)
		}
		if string(head[4:8]) == "moov" {
			if length > most {
				return nil, refuse("an index of %d bytes", length)
			}
			moov := make([]byte, length-8)
			if _, err := file.ReadAt(moov, at+8); err != nil {
				return nil, fmt.Errorf("fmp4: read the index: %w", err)
			}
			return moov, nil
		}
		at += length
	}
	return nil, refuse("more than %d boxes", maxBoxes)
}

// each calls do for the boxes that follow each other in data.
func each(data []byte, do func(kind string, body []byte) error) error {
	for len(data) > 0 {
		if len(data) < 8 {
			return refuse("%d bytes where a box should be", len(data))
		}
		length := binary.BigEndian.Uint32(data)
		if length < 8 || uint64(length) > uint64(len(data)) {
			return refuse("a box %q of %d bytes in %d", data[4:8], length, len(data))
		}
		if err := do(string(data[4:8]), data[8:length]); err != nil {
			return err
		}
		data = data[length:]
	}
	return nil
}

// tables are the raw boxes that together tell where the samples are.
type tables struct{ stts, ctts, stss, stsc, stsz, stco, co64 []byte }

func (t *track) readTrack(trak []byte, size int64, frames int) error {
	var tb tables
	var walk func(kind string, body []byte) error
	walk = func(kind string, body []byte) error {
		switch kind {
		case "edts", "mdia", "minf", "stbl":
			return each(body, walk)
		case "elst":
			return t.readEdit(body)
		case "mdhd":
			return t.readScale(body)
		case "hdlr":
			if len(body) < 12 || string(body[8:12]) != "vide" {
				return refuse("a track that is no video")
			}
		case "stsd":
			return t.readEntry(body)
		case "stts":
			tb.stts = body
		case "ctts":
			tb.ctts = body
		case "stss":
			tb.stss = body
		case "stsc":
			tb.stsc = body
		case "stsz":
			tb.stsz = body
		case "stco":
			tb.stco = body
		case "co64":
			tb.co64 = body
		}
		return nil
	}
	if err := each(trak, walk); err != nil {
		return err
	}
	if t.headers == nil || t.scale == 0 {
		return refuse("no H.264 headers or no time scale")
	}
	t.samples = make([]sample, frames)
	if err := t.readSizes(tb.stsz); err != nil {
		return err
	}
	if err := t.readPlaces(&tb, size); err != nil {
		return err
	}
	if err := t.readTimes(&tb); err != nil {
		return err
	}
	return t.readKeys(tb.stss)
}

// readEdit reads an edit list. Its one edit begins where the first picture is
// shown.
func (t *track) readEdit(body []byte) error {
	if len(body) != 20 || body[0] != 0 || binary.BigEndian.Uint32(body[4:]) != 1 {
		return refuse("an edit list of %d bytes", len(body))
	}
	t.delay = binary.BigEndian.Uint32(body[12:])
	if t.delay > math.MaxInt32 {
		return refuse("an empty edit")
	}
	return nil
}

func (t *track) readScale(body []byte) error {
	switch {
	case len(body) >= 24 && body[0] == 0:
		t.scale = binary.BigEndian.Uint32(body[12:])
	case len(body) >= 36 && body[0] == 1:
		t.scale = binary.BigEndian.Uint32(body[20:])
	default:
		return refuse("a media header of %d bytes", len(body))
	}
	return nil
}

// visualEntry is the length of a sample entry before its boxes.
const visualEntry = 78

func (t *track) readEntry(body []byte) error {
	if len(body) < 8 || binary.BigEndian.Uint32(body[4:]) != 1 {
		return refuse("not one description of samples")
	}
	return each(body[8:], func(kind string, entry []byte) error {
		if kind != "avc1" || len(entry) < visualEntry || t.headers != nil {
			return refuse("samples described as %q", kind)
		}
		t.width, t.height = binary.BigEndian.Uint16(entry[24:]), binary.BigEndian.Uint16(entry[26:])
		return each(entry[visualEntry:], func(kind string, box []byte) error {
			if kind == "avcC" && len(box) > 0 {
				t.headers = box
			}
			return nil
		})
	})
}

// rows returns the rows of a table with so many columns of four bytes, behind a
// version, flags and their number.
func rows(table []byte, columns int) ([]byte, error) {
	if len(table) < 8 {
		return nil, refuse("a table is missing")
	}
	n := uint64(binary.BigEndian.Uint32(table[4:]))
	if uint64(len(table)-8) < n*uint64(4*columns) {
		return nil, refuse("a table of %d bytes with %d rows", len(table), n)
	}
	return table[8 : 8+n*uint64(4*columns)], nil
}

func (t *track) readSizes(stsz []byte) error {
	if len(stsz) < 12 || uint64(binary.BigEndian.Uint32(stsz[8:])) != uint64(len(t.samples)) {
		return refuse("the sizes of other than %d frames", len(t.samples))
	}
	same := binary.BigEndian.Uint32(stsz[4:])
	if same == 0 && len(stsz) < 12+4*len(t.samples) {
		return refuse("a table of sizes of %d bytes", len(stsz))
	}
	for i := range t.samples {
		s := &t.samples[i]
		if s.size = same; same == 0 {
			s.size = binary.BigEndian.Uint32(stsz[12+4*i:])
		}
		if s.size == 0 || s.size > maxFrameSize {
			return refuse("a frame of %d bytes", s.size)
		}
	}
	return nil
}

// readPlaces finds the samples: they lie in chunks one behind the other.
func (t *track) readPlaces(tb *tables, size int64) error {
	runs, err := rows(tb.stsc, 3)
	if err != nil {
		return err
	}
	offsets, width := tb.stco, 1
	if tb.co64 != nil {
		offsets, width = tb.co64, 2
	}
	chunks, err := rows(offsets, width)
	if err != nil {
		return err
	}
	next, perChunk := 0, uint32(0)
	for chunk := uint32(1); len(chunks) > 0; chunk++ {
		if len(runs) > 0 && binary.BigEndian.Uint32(runs) == chunk {
			perChunk, runs = binary.BigEndian.Uint32(runs[4:]), runs[12:]
		}
		at := int64(binary.BigEndian.Uint32(chunks))
		if width == 2 {
			at = int64(min(binary.BigEndian.Uint64(chunks), math.MaxInt64))
		}
		chunks = chunks[4*width:]
		for range perChunk {
			if next == len(t.samples) {
				return refuse("more places than frames")
			}
			s := &t.samples[next]
			next++
			if at > size-int64(s.size) {
				return refuse("a frame behind the end of the file")
			}
			s.at = at
			at += int64(s.size)
		}
	}
	if next != len(t.samples) {
		return refuse("the places of %d frames", next)
	}
	return nil
}

// readTimes reads how long pictures are shown, all for the same time, and when.
func (t *track) readTimes(tb *tables) error {
	durations, err := rows(tb.stts, 2)
	if err != nil {
		return err
	}
	timed := uint64(0)
	for ; len(durations) > 0; durations = durations[8:] {
		timed += uint64(binary.BigEndian.Uint32(durations))
		tick := binary.BigEndian.Uint32(durations[4:])
		if t.tick == 0 {
			t.tick = tick
		}
		if tick != t.tick || tick == 0 || tick > t.scale*16 {
			return refuse("frames of %d and %d units", t.tick, tick)
		}
	}
	if timed != uint64(len(t.samples)) {
		return refuse("the times of %d frames", timed)
	}
	if tb.ctts == nil {
		return nil
	}
	shifts, err := rows(tb.ctts, 2)
	if err != nil {
		return err
	}
	next := 0
	for ; len(shifts) > 0; shifts = shifts[8:] {
		n, shift := binary.BigEndian.Uint32(shifts), int32(binary.BigEndian.Uint32(shifts[4:]))
		if uint64(n) > uint64(len(t.samples)-next) {
			return refuse("more times than frames")
		}
		for range n {
			t.samples[next].shift = shift
			next++
		}
	}
	return nil
}

// readKeys marks the samples that refer to no other: all, without a table.
func (t *track) readKeys(stss []byte) error {
	if stss == nil {
		for i := range t.samples {
			t.samples[i].key = true
		}
		return nil
	}
	keys, err := rows(stss, 1)
	if err != nil {
		return err
	}
	for ; len(keys) > 0; keys = keys[4:] {
		n := binary.BigEndian.Uint32(keys)
		if n < 1 || uint64(n) > uint64(len(t.samples)) {
			return refuse("frame %d is not there", n)
		}
		t.samples[n-1].key = true
	}
	if !t.samples[0].key {
		return refuse("it does not begin with a whole picture")
	}
	return nil
}
