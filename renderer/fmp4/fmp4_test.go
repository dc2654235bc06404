// SPDX-License-Identifier: MIT

package fmp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

// parts are cells as the engine makes them, named by their number of frames: two
// of one play, then plays too short to have pictures that refer to later ones.
var parts = []int{20, 25, 1, 2, 12}

func part(t testing.TB, frames int) []byte {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("testdata/%d.mp4", frames))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// shown is a picture of a film, as a player finds it.
type shown struct {
	decoded, at int64 // units of time
	key         bool
	data        string
}

// film reads what a Writer has written: the moov box, then fragments.
func film(t *testing.T, data []byte) (pictures []shown) {
	t.Helper()
	var moof, moofAt []byte
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	kinds := ""
	rest := data
	check(each(data, func(kind string, body []byte) error {
		kinds += kind + " "
		whole := rest[:8+len(body)]
		rest = rest[len(whole):]
		if kind == "moof" {
			moof, moofAt = body, whole
		}
		if kind != "mdat" {
			return nil
		}
		from := append(slices.Clone(moofAt), whole...)
		return each(moof, func(kind string, traf []byte) error {
			if kind != "traf" {
				return nil
			}
			base := int64(0)
			return each(traf, func(kind string, body []byte) error {
				switch kind {
				case "tfdt":
					base = int64(binary.BigEndian.Uint64(body[4:]))
				case "trun":
					at := binary.BigEndian.Uint32(body[8:])
					for i := range int64(binary.BigEndian.Uint32(body[4:])) {
						row := body[12+12*i:]
						size := binary.BigEndian.Uint32(row)
						decoded := base + i*256
						pictures = append(pictures, shown{
							decoded, decoded + int64(int32(binary.BigEndian.Uint32(row[8:]))),
							binary.BigEndian.Uint32(row[4:]) == keySample, string(from[at : at+size]),
						})
						at += size
					}
				}
				return nil
			})
		})
	}))
	if want := "ftyp moov moof mdat "; len(pictures) > 0 && kinds[:len(want)] != want {
		t.Errorf("the film's boxes are %s", kinds)
	}
	return pictures
}

func TestFilmIsItsParts(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, 60)
	var want []shown
	first := int64(0)
	for _, frames := range parts {
		data := part(t, frames)
		if err := w.Add(bytes.NewReader(data), int64(len(data)), frames); err != nil {
			t.Fatalf("part of %d frames: %v", frames, err)
		}
		own, err := read(bytes.NewReader(data), int64(len(data)), frames)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range own.samples {
			decoded := (first + int64(i)) * 256
			want = append(want, shown{
				decoded: decoded, at: decoded + int64(s.shift) - int64(own.delay) + 2*256,
				key: s.key, data: string(data[s.at : s.at+int64(s.size)]),
			})
		}
		first += int64(frames)
	}
	got := film(t, out.Bytes())
	if !slices.Equal(got, want) {
		t.Errorf("the film has %d pictures, and not those of its parts, %d", len(got), len(want))
	}
	var times []int64
	for _, s := range got {
		if s.at < s.decoded {
			t.Errorf("a picture is shown at %d, before it is decoded at %d", s.at, s.decoded)
		}
		times = append(times, s.at)
	}
	slices.Sort(times)
	for i, at := range times {
		if at != int64(i+2)*256 { // each is shown in its turn, two pictures late
			t.Fatalf("picture %d is shown at %d", i, at)
		}
	}
}

// TestFilmGrows: what is there before a part comes is the beginning of what is
// there afterwards.
func TestFilmGrows(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, 60)
	pictures := 0
	for _, frames := range parts {
		data := part(t, frames)
		before := out.String()
		if err := w.Add(bytes.NewReader(data), int64(len(data)), frames); err != nil {
			t.Fatal(err)
		}
		pictures += frames
		if got := len(film(t, out.Bytes())); got != pictures || out.String()[:len(before)] != before {
			t.Errorf("the film has %d pictures, want %d", got, pictures)
		}
	}
}

// TestRefused: what a cell should not be is refused, and leaves the film as it
// was.
func TestRefused(t *testing.T) {
	good := part(t, 20)
	change := func(kind string, at int, to ...byte) []byte {
		data := slices.Clone(good)
		from := 0
		if kind != "mdat" {
			from = bytes.Index(data, []byte("moov"))
		}
		i := bytes.Index(data[from:], []byte(kind))
		if i < 0 {
			t.Fatalf("there is no %s", kind)
		}
		copy(data[from+i+4+at:], to)
		return data
	}
	for name, test := range map[string]struct {
		data   []byte
		frames int
	}{
		"empty":                      {nil, 20},
		"other than a film":          {[]byte("#!/bin/sh\necho this is longer than a box's head\n"), 20},
		"fewer frames":               {good, 21},
		"more frames":                {good, 19},
		"cut off in its index":       {good[:len(good)-100], 20},
		"cut off before its index":   {good[:600], 20},
		"no time scale":              {change("mdhd", 12, 0, 0, 0, 0), 20},
		"an empty edit":              {change("elst", 12, 0xff, 0xff, 0xff, 0xff), 20},
		"two edits":                  {change("elst", 7, 2), 20},
		"sound":                      {change("hdlr", 8, []byte("soun")...), 20},
		"another codec":              {change("avc1", -4, []byte("hev1")...), 20},
		"frames behind the end":      {change("stco", 8, 0x7f, 0xff, 0xff, 0xff), 20},
		"a frame without bytes":      {change("stsz", 12, 0, 0, 0, 0), 20},
		"a huge frame":               {change("stsz", 12, 0xff, 0xff, 0xff, 0xff), 20},
		"a huge table":               {change("ctts", 4, 0xff, 0xff, 0xff, 0xff), 20},
		"more times than frames":     {change("ctts", 8, 0, 0, 1, 0), 20},
		"frames of no time":          {change("stts", 12, 0, 0, 0, 0), 20},
		"times of too many":          {change("stts", 8, 0, 0, 0, 21), 20},
		"no whole picture first":     {change("stss", 8, 0, 0, 0, 2), 20},
		"a whole picture not there":  {change("stss", 8, 0, 0, 0, 21), 20},
		"a box longer than the file": {change("mdat", -8, 0x7f), 20},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := NewWriter(&out, 40)
			err := w.Add(bytes.NewReader(test.data), int64(len(test.data)), test.frames)
			if !errors.Is(err, ErrFile) {
				t.Errorf("the error is %v", err)
			}
			if err := w.Add(bytes.NewReader(good), int64(len(good)), 20); err != nil || len(film(t, out.Bytes())) != 20 {
				t.Errorf("a good part after it: %v", err)
			}
		})
	}
}

func TestOtherHeadersAreRefused(t *testing.T) {
	good, other := part(t, 20), part(t, 25)
	i := bytes.Index(other, []byte("avcC"))
	other[i+20]++
	var out bytes.Buffer
	w := NewWriter(&out, 45)
	if err := w.Add(bytes.NewReader(good), int64(len(good)), 20); err != nil {
		t.Fatal(err)
	}
	length := out.Len()
	if err := w.Add(bytes.NewReader(other), int64(len(other)), 25); !errors.Is(err, ErrFile) || out.Len() != length {
		t.Errorf("the error is %v, %d bytes were written", err, out.Len()-length)
	}
}

// failing is a file that cannot be read from some byte on.
type failing struct {
	data []byte
	from int64
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.from && off+4 < int64(bytes.Index(f.data, []byte("moov"))) {
		return 0, errors.New("the disk is gone")
	}
	return bytes.NewReader(f.data).ReadAt(p, off)
}

func TestUnreadableFile(t *testing.T) {
	data := part(t, 20)
	var out bytes.Buffer
	err := NewWriter(&out, 20).Add(failing{data, 700}, int64(len(data)), 20)
	if err == nil || errors.Is(err, ErrFile) {
		t.Errorf("the error is %v", err)
	}
}

func FuzzAdd(f *testing.F) {
	for _, frames := range parts {
		f.Add(part(f, frames), frames)
	}
	f.Fuzz(func(t *testing.T, data []byte, frames int) {
		var out bytes.Buffer
		w := NewWriter(&out, 60)
		err := w.Add(bytes.NewReader(data), int64(len(data)), frames)
		if errors.Is(err, ErrFile) && out.Len() > 0 {
			t.Errorf("%d bytes of a refused file were written", out.Len())
		}
		if err == nil && out.Len() > 2*len(data)+1<<10 {
			t.Errorf("%d bytes were written of %d", out.Len(), len(data))
		}
	})
}
