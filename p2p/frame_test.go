// SPDX-License-Identifier: MIT

package p2p

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func FuzzFrame(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 2, 'a', 'b', 'c'})
	f.Add([]byte{0, 0, 1, 1})
	f.Add([]byte{255, 255, 255, 255, 1})
	const limit = 256
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		data, err := readFrame(r, limit)
		if err != nil {
			if errors.Is(err, io.EOF) && len(in) > 0 {
				t.Error("a frame cut short looks like none")
			}
			return
		}
		if len(data) > limit {
			t.Fatalf("%d bytes over a limit of %d", len(data), limit)
		}
		var out bytes.Buffer
		if err := writeFrame(&out, data); err != nil {
			t.Fatal(err)
		}
		if used := in[:len(in)-r.Len()]; !bytes.Equal(out.Bytes(), used) {
			t.Errorf("read %x from %x, wrote %x", data, used, out.Bytes())
		}
	})
}

// The length is judged before anything is read or allocated for it.
func TestFrameLimit(t *testing.T) {
	announced := func(head string) error {
		_, err := readFrame(io.MultiReader(bytes.NewReader([]byte(head)), panicReader{}), 1<<20)
		return err
	}
	for _, head := range []string{"\x00\x10\x00\x01", "\xff\xff\xff\xff", "\x7f\xff\xff\xff"} {
		if err := announced(head); !errors.Is(err, ErrTooLarge) {
			t.Errorf("head %x: %v", head, err)
		}
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("read past the head") }
