// SPDX-License-Identifier: MIT

package renderer

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"
)

// pictures returns n PNG files of random pixels, changed by change.
func pictures(t *testing.T, n int, change func(picture int, p *image.NRGBA)) []byte {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	var out bytes.Buffer
	for i := range n {
		p := image.NewNRGBA(image.Rect(0, 0, 400, 300)) // 480,000 values
		for k := range p.Pix {
			p.Pix[k] = byte(10 + random.IntN(200))
		}
		if change != nil {
			change(i, p)
		}
		if err := png.Encode(&out, p); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestCompare(t *testing.T) {
	ours := pictures(t, 3, nil)
	huge := bytes.Clone(ours)
	binary.BigEndian.PutUint32(huge[16:], 1<<20) // the width, whose checksum is then wrong too
	raise := func(by byte, picture, values int) func(int, *image.NRGBA) {
		return func(i int, p *image.NRGBA) {
			for k := range values {
				if i == picture {
					p.Pix[k*7] += by
				}
			}
		}
	}
	for _, c := range []struct {
		name   string
		theirs []byte
		want   string // "": alike
	}{
		{"the same", ours, ""},
		{"every value by one", pictures(t, 3, func(_ int, p *image.NRGBA) {
			for k := range p.Pix {
				p.Pix[k] += byte(k % 2)
			}
		}), ""},
		{"four values", pictures(t, 3, raise(30, 1, 4)), ""},
		{"five values", pictures(t, 3, raise(2, 1, 5)), "1 of 3 pictures of the self-test are not alike within Manim's tolerance, the worst in 5 values"},
		{"fewer pictures", pictures(t, 2, nil), "number of pictures"},
		{"more pictures", pictures(t, 4, nil), "number of pictures"},
		{"none", nil, "number of pictures"},
		{"another size", pictures(t, 3, func(_ int, p *image.NRGBA) { *p = *image.NewNRGBA(image.Rect(0, 0, 300, 400)) }), "another size"},
		{"no pictures", []byte("no PNG file at all, but something else"), "cannot be read"},
		{"half a picture", ours[:1000], "cannot be read"},
		{"a huge one", huge, "cannot be read"},
	} {
		got := ""
		if err := Compare(ours, c.theirs); err != nil {
			got = err.Error()
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q; want %q", c.name, got, c.want)
		}
	}
	var small bytes.Buffer
	if err := png.Encode(&small, image.NewNRGBA(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	many := bytes.Repeat(small.Bytes(), maxPictures+1)
	if err := Compare(many, many); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("more pictures than may be: %v", err)
	}
}

func FuzzCompare(f *testing.F) {
	var small bytes.Buffer
	if err := png.Encode(&small, image.NewNRGBA(image.Rect(0, 0, 2, 2))); err != nil {
		f.Fatal(err)
	}
	f.Add(small.Bytes())
	f.Add(append(small.Bytes(), small.Bytes()...))
	f.Fuzz(func(t *testing.T, theirs []byte) {
		_ = Compare(theirs, theirs)
	})
}
