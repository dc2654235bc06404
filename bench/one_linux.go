// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// oneComputer compares stock Manim with meshnode on one computer, without a node
// (cold: publish starts one) and with one (warm).
func oneComputer(b *bench) error {
	if err := adopt(); err != nil {
		return err
	}
	fmt.Printf("Wall and CPU seconds, medians of %d, taken by turns. Cold: no node is running, publish starts one; its CPU time "+
		"is in the figure. Warm: a node is running; the CPU time of the next engine, which it warms afterwards, is not.\n\n", b.runs)
	header("scene", "stock", "cold", "warm", "cold is faster", "warm is faster")
	for _, quality := range []string{"-ql", "-qh"} {
		var cold, warm []float64
		for _, s := range b.scenes {
			say("one computer: %s %s", s.name, quality)
			took, err := b.byTurns(s, quality)
			if err != nil {
				return err
			}
			coldly, warmly := took[0].wall/took[1].wall, took[0].wall/took[2].wall
			row(s.name+" "+quality, took[0].String(), took[1].String(), took[2].String(), times(coldly), times(warmly))
			if s.gallery {
				cold, warm = append(cold, coldly), append(warm, warmly)
			}
		}
		if len(cold) > 0 {
			row("geometric mean, gallery "+quality, "", "", "", times(geometricMean(cold)), times(geometricMean(warm)))
		}
	}
	return nil
}

// byTurns returns what a render takes by stock Manim, cold and warm.
func (b *bench) byTurns(s scene, quality string) (took [3]cost, err error) {
	var costs [3][]cost
	for range b.runs {
		for i, render := range []func(scene, string, string) (cost, error){b.stock, b.cold, b.warm} {
			media, err := s.media(b)
			if err != nil {
				return took, err
			}
			c, err := render(s, quality, media)
			if err := errors.Join(err, os.RemoveAll(media)); err != nil {
				return took, err
			}
			say("  %-6s %s", [3]string{"stock", "cold", "warm"}[i], c)
			costs[i] = append(costs[i], c)
		}
	}
	for i := range took {
		took[i] = middle(costs[i])
	}
	return took, nil
}

func (b *bench) stock(s scene, quality, media string) (cost, error) {
	return run(b.manim(nil, s, quality, media))
}

// manim returns the command of a render by stock Manim.
func (b *bench) manim(at *place, s scene, quality, media string) *exec.Cmd {
	cmd := at.command(b.python, "-m", "manim", "render", quality, "--seed", "0", "--progress_bar", "none", "--media_dir", media, s.file, s.name)
	cmd.Dir, cmd.Env = filepath.Dir(s.file), environment()
	return cmd
}

func (b *bench) cold(s scene, quality, media string) (cost, error) {
	home, err := b.newHome()
	if err != nil {
		return cost{}, err
	}
	cmd := command(nil, "publish", "--home", home, "--no-mdns", quality, "--seed", "0", "--progress_bar", "none", "--media_dir", media, s.file, s.name)
	cmd.Dir = filepath.Dir(s.file)
	before := spent()
	c, err := run(cmd)
	err = errors.Join(err, reap()) // the node ends a little later
	return cost{c.wall, spent() - before}, err
}

func (b *bench) warm(s scene, quality, media string) (c cost, err error) {
	home, err := b.newHome()
	if err != nil {
		return c, err
	}
	n, err := start(nil, home, "--no-mdns")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	if err := errors.Join(n.ready(0), n.settle()); err != nil {
		return c, err
	}
	cmd := command(nil, "publish", "--home", home, quality, "--seed", "0", "--progress_bar", "none", "--media_dir", media, s.file, s.name)
	cmd.Dir = filepath.Dir(s.file)
	return run(cmd)
}
