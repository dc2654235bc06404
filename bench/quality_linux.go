// SPDX-License-Identifier: MIT

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed quality.py
var qualityScript string

// quality compares the sizes of films, and how like the lossless film they are.
func quality(b *bench) (err error) {
	fmt.Println("The mp4 of meshnode against that of stock Manim: size, and how much more or less it is like the lossless film (PSNR).")
	fmt.Println()
	header("scene", "stock kB", "meshnode kB", "ratio", "stock dB", "meshnode dB", "difference")
	home, err := b.newHome()
	if err != nil {
		return err
	}
	n, err := start(nil, home, "--no-mdns")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	for _, rate := range []string{"-ql", "-qh"} {
		var ratios []float64
		for _, s := range b.scenes {
			say("quality: %s %s", s.name, rate)
			sizes, psnr, err := b.qualityOf(s, rate, home)
			if err != nil {
				return err
			}
			kb := func(bytes float64) string { return fmt.Sprintf("%.0f", bytes/1000) }
			db := func(x float64) string { return fmt.Sprintf("%.2f", x) }
			row(s.name+" "+rate, kb(sizes[0]), kb(sizes[1]), times(sizes[1]/sizes[0]), db(psnr[0]), db(psnr[1]), fmt.Sprintf("%+.2f", psnr[1]-psnr[0]))
			if s.gallery {
				ratios = append(ratios, sizes[1]/sizes[0])
			}
		}
		if len(ratios) > 0 {
			row("geometric mean, gallery "+rate, "", "", times(geometricMean(ratios)), "", "", "")
		}
	}
	return nil
}

// qualityOf returns bytes and PSNR of the films of stock Manim and of meshnode.
func (b *bench) qualityOf(s scene, rate, home string) (sizes, psnr [2]float64, err error) {
	media, err := s.media(b)
	if err != nil {
		return sizes, psnr, err
	}
	defer os.RemoveAll(media)
	films := make([]string, 3)
	for i, one := range []func() error{
		func() error {
			cmd := b.manim(nil, s, rate, media)
			cmd.Args = append(cmd.Args, "-t", "--format", "mov")
			_, err := run(cmd)
			return err
		},
		func() error { _, err := b.stock(s, rate, media); return err },
		func() error {
			_, err := publish(nil, home, s, media, nil, rate, "--seed", "0", "--disable_caching")
			return err
		},
	} {
		if err := one(); err != nil {
			return sizes, psnr, err
		}
		made, err := filepath.Glob(filepath.Join(media, "videos", "*", "*", s.name+".m*"))
		if err != nil || len(made) != 1 {
			return sizes, psnr, fmt.Errorf("%s: films %q: %w", s.name, made, err)
		}
		films[i] = filepath.Join(media, fmt.Sprint(i)+filepath.Ext(made[0]))
		if err := os.Rename(made[0], films[i]); err != nil {
			return sizes, psnr, err
		}
	}
	cmd := exec.Command(b.python, append([]string{"-c", qualityScript}, films...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return sizes, psnr, fmt.Errorf("compare films of %s: %w", s.name, err)
	}
	if _, err := fmt.Fscan(strings.NewReader(string(out)), &sizes[0], &psnr[0], &sizes[1], &psnr[1]); err != nil {
		return sizes, psnr, fmt.Errorf("compare films of %s: %q: %w", s.name, out, err)
	}
	return sizes, psnr, nil
}
