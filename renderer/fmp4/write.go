// SPDX-License-Identifier: MIT

package fmp4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Writer writes a film, fragment by fragment. It is not safe for concurrent use.
type Writer struct {
	w      io.Writer
	frames uint32 // of the whole film
	first  *track // of the first file: all others are like it
	delay  uint32 // units by which all pictures are delayed
	base   int64  // units of time written so far
	number uint32 // of fragments
}

// NewWriter returns a writer of a film that will have so many frames.
func NewWriter(w io.Writer, frames uint32) *Writer {
	return &Writer{w: w, frames: frames}
}

// reorder is how many pictures x264 decodes, at most, before the one that is
// shown first.
const reorder = 2

// Add appends a file of size bytes and so many frames. An error of the file's
// own wraps [ErrFile], and nothing of it has then been written; after any other
// error the film is broken.
func (w *Writer) Add(file io.ReaderAt, size int64, frames int) error {
	t, err := read(file, size, frames)
	if err != nil {
		return err
	}
	if f := w.first; f != nil && (!bytes.Equal(t.headers, f.headers) || t.scale != f.scale || t.tick != f.tick || t.width != f.width || t.height != f.height) {
		return refuse("its headers are not those of the film's first")
	}
	total := int64(0)
	for _, s := range t.samples {
		total += int64(s.size)
	}
	if total > size || total > math.MaxUint32-8 {
		return refuse("%d bytes of frames in %d", total, size)
	}
	if w.first == nil {
		w.delay = max(t.delay, reorder*t.tick)
		if _, err := w.w.Write(w.opening(t)); err != nil {
			return fmt.Errorf("fmp4: write: %w", err)
		}
		w.first = t
	}
	w.number++
	if _, err := w.w.Write(w.fragment(t, uint32(total)+8)); err != nil {
		return fmt.Errorf("fmp4: write: %w", err)
	}
	w.base += int64(frames) * int64(t.tick)
	return copySamples(w.w, file, t.samples)
}

// copySamples writes the bytes of samples; those that lie one behind the other
// at once.
func copySamples(w io.Writer, file io.ReaderAt, samples []sample) error {
	for len(samples) > 0 {
		begin := samples[0].at
		end := begin
		for len(samples) > 0 && samples[0].at == end {
			end += int64(samples[0].size)
			samples = samples[1:]
		}
		if n, err := io.Copy(w, io.NewSectionReader(file, begin, end-begin)); err != nil || n != end-begin {
			return fmt.Errorf("fmp4: copy frames: %d of %d bytes: %w", n, end-begin, err)
		}
	}
	return nil
}

// opening is what stands before the first fragment: everything but the pictures.
func (w *Writer) opening(t *track) []byte {
	var b boxes
	b.in("ftyp", func() {
		b.text("iso6")
		b.numbers(512)
		b.text("iso6mp41")
	})
	b.in("moov", func() {
		b.in("mvhd", func() {
			b.numbers(0, 0, 0, t.scale, 0, 1<<16, 1<<24, 0, 0)
			b.matrix()
			b.numbers(0, 0, 0, 0, 0, 0, 2)
		})
		b.in("trak", func() {
			b.in("tkhd", func() {
				b.numbers(3, 0, 0, 1, 0, 0, 0, 0, 0, 0) // enabled, in the movie
				b.matrix()
				b.numbers(uint32(t.width)<<16, uint32(t.height)<<16)
			})
			b.in("mdia", func() {
				b.in("mdhd", func() { b.numbers(0, 0, 0, t.scale, 0, undetermined<<16) })
				b.in("hdlr", func() {
					b.numbers(0, 0)
					b.text("vide")
					b.numbers(0, 0, 0)
					b.text("\x00")
				})
				b.in("minf", func() {
					b.in("vmhd", func() { b.numbers(1, 0, 0) })
					b.in("dinf", func() {
						b.in("dref", func() {
							b.numbers(0, 1)
							b.in("url ", func() { b.numbers(1) }) // the pictures are in this file
						})
					})
					b.in("stbl", func() {
						b.in("stsd", func() {
							b.numbers(0, 1)
							b.entry(t)
						})
						b.in("stts", func() { b.numbers(0, 0) })
						b.in("stsc", func() { b.numbers(0, 0) })
						b.in("stsz", func() { b.numbers(0, 0, 0) })
						b.in("stco", func() { b.numbers(0, 0) })
					})
				})
			})
		})
		b.in("mvex", func() {
			b.in("mehd", func() {
				b.numbers(1 << 24)
				b.long(uint64(w.frames) * uint64(t.tick))
			})
			b.in("trex", func() { b.numbers(0, 1, 1, t.tick, 0, 0) })
		})
	})
	return b.data
}

// undetermined is the language "und", in five bits for each letter.
const undetermined = 0x55c4

// Flags of a sample.
const (
	keySample   = 0x02000000 // depends on no other
	otherSample = 0x01010000 // depends on others, and is no place to begin
)

// fragment is what stands before the pictures of one file, and the head of the
// box with these.
//
// Pictures are decoded at an even pace from the start of their part, and shown
// later by the film's delay, whatever the delay was in their own file: so parts
// follow each other without gap or overlap.
func (w *Writer) fragment(t *track, mdat uint32) []byte {
	var b boxes
	offset := 0 // of the place where the distance to the pictures stands
	b.in("moof", func() {
		b.in("mfhd", func() { b.numbers(0, w.number) })
		b.in("traf", func() {
			b.in("tfhd", func() { b.numbers(0x020000, 1) }) // offsets count from here
			b.in("tfdt", func() {
				b.numbers(1 << 24)
				b.long(uint64(w.base))
			})
			b.in("trun", func() {
				b.numbers(1<<24|0xe01, uint32(len(t.samples))) // offset; for each sample size, flags, and when it is shown
				offset = len(b.data)
				b.numbers(0)
				for _, s := range t.samples {
					flags := uint32(otherSample)
					if s.key {
						flags = keySample
					}
					b.numbers(s.size, flags, uint32(s.shift-int32(t.delay)+int32(w.delay)))
				}
			})
		})
	})
	binary.BigEndian.PutUint32(b.data[offset:], uint32(len(b.data)+8))
	b.numbers(mdat)
	b.text("mdat")
	return b.data
}

// boxes builds nested boxes.
type boxes struct{ data []byte }

// in makes a box of what do writes.
func (b *boxes) in(kind string, do func()) {
	at := len(b.data)
	b.numbers(0)
	b.text(kind)
	do()
	binary.BigEndian.PutUint32(b.data[at:], uint32(len(b.data)-at))
}

func (b *boxes) numbers(values ...uint32) {
	for _, v := range values {
		b.data = binary.BigEndian.AppendUint32(b.data, v)
	}
}

func (b *boxes) long(v uint64)  { b.data = binary.BigEndian.AppendUint64(b.data, v) }
func (b *boxes) text(s string)  { b.data = append(b.data, s...) }
func (b *boxes) short(v uint16) { b.data = binary.BigEndian.AppendUint16(b.data, v) }
func (b *boxes) matrix()        { b.numbers(1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30) } // as it is
func (b *boxes) zero(bytes int) { b.data = append(b.data, make([]byte, bytes)...) }

// entry describes the samples: their size in pixels and the decoder's headers.
func (b *boxes) entry(t *track) {
	b.in("avc1", func() {
		b.zero(6)
		b.short(1) // the data reference
		b.zero(16)
		b.short(t.width)
		b.short(t.height)
		b.numbers(72<<16, 72<<16, 0) // dots per inch
		b.short(1)                   // frame in a sample
		b.zero(32)                   // name of the encoder
		b.short(24)                  // bits of a pixel
		b.short(math.MaxUint16)
		b.in("avcC", func() { b.data = append(b.data, t.headers...) })
	})
}
