// SPDX-License-Identifier: MIT

package renderer

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
)

// What Manim's own tests take for equal on other systems: in each picture, fewer
// than one value of 100,000 may differ by more than one.
const (
	tolerance = 1
	oneIn     = 100_000
)

// Limits on pictures that another node sends; those of the self-test have 854 x
// 480 pixels.
const (
	maxPictures = 256
	maxPixels   = 1 << 20
)

// Compare compares the pictures of two self-tests: PNG files, one behind the
// other. It returns nil when they are equal within the tolerance of Manim's own
// tests, or what differs.
func Compare(ours, theirs []byte) error {
	a, b := bytes.NewReader(ours), bytes.NewReader(theirs)
	var count, wrong, worst int
	for ; a.Len() > 0 && b.Len() > 0; count++ {
		if count == maxPictures {
			return errors.New("there are too many pictures")
		}
		p, err := decodePicture(a)
		if err != nil {
			return err
		}
		q, err := decodePicture(b)
		if err != nil {
			return err
		}
		if p.Rect != q.Rect {
			return fmt.Errorf("picture %d has another size", count)
		}
		differ := 0
		for i := range p.Pix {
			if d := int(p.Pix[i]) - int(q.Pix[i]); d > tolerance || d < -tolerance {
				differ++
			}
		}
		if differ*oneIn >= len(p.Pix) && differ > 0 {
			wrong++
		}
		worst = max(worst, differ)
	}
	switch {
	case count == 0 || a.Len() != b.Len():
		return errors.New("the number of pictures is another")
	case wrong > 0:
		return fmt.Errorf("%d of %d pictures of the self-test are not alike within Manim's tolerance, the worst in %d values", wrong, count, worst)
	}
	return nil
}

// decodePicture reads one PNG file and leaves the reader behind it.
func decodePicture(r *bytes.Reader) (*image.NRGBA, error) {
	begin, _ := r.Seek(0, 1)
	config, err := png.DecodeConfig(r)
	if err == nil && (config.Width <= 0 || config.Height <= 0 || config.Width > maxPixels/config.Height) {
		err = fmt.Errorf("it has %d x %d pixels", config.Width, config.Height)
	}
	if err == nil {
		_, err = r.Seek(begin, 0)
	}
	var img image.Image
	if err == nil {
		img, err = png.Decode(r)
	}
	if err != nil {
		return nil, fmt.Errorf("a picture cannot be read: %w", err)
	}
	if p, ok := img.(*image.NRGBA); ok {
		return p, nil
	}
	p := image.NewNRGBA(img.Bounds())
	draw.Draw(p, p.Rect, img, img.Bounds().Min, draw.Src)
	return p, nil
}
