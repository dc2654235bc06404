// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"meshnode/e2e/lan"
)

// quota is the share of a core that each computer of a mesh gets.
const quota = 0.5

// mesh is a network of computers that each run a node.
type mesh struct {
	network *lan.Network
	nodes   []*node
}

// newMesh starts n nodes, each with that share of a core, or all of the machine
// when it is 0, and waits until they know each other. The caller must close it.
func (b *bench) newMesh(n int, cores float64, args ...string) (m *mesh, err error) {
	if b.alone != nil {
		return nil, fmt.Errorf("%w: %w", errSkipped, b.alone)
	}
	network, err := lan.New(n)
	if err != nil {
		return nil, err
	}
	m = &mesh{network: network}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	for i := 1; i <= n; i++ {
		if cores > 0 {
			if err := network.Quota(i, cores); err != nil {
				return m, fmt.Errorf("%w: %w", errSkipped, err)
			}
		}
		home, err := b.newHome()
		if err != nil {
			return m, err
		}
		node, err := start(&place{network, i}, home, append([]string{"--name", fmt.Sprintf("pc%d", i)}, args...)...)
		if err != nil {
			return m, err
		}
		m.nodes = append(m.nodes, node)
	}
	for _, node := range m.nodes {
		if err := node.ready(n - 1); err != nil {
			return m, err
		}
	}
	return m, m.settle()
}

func (m *mesh) settle() error {
	for _, node := range m.nodes {
		if err := node.settle(); err != nil {
			return err
		}
	}
	return nil
}

func (m *mesh) close() error {
	var err error
	for _, node := range m.nodes {
		err = errors.Join(err, node.stop())
	}
	return errors.Join(err, m.network.Close())
}

// longScene is the one with most to draw.
func (b *bench) longScene() scene {
	for _, s := range b.scenes {
		if s.name == "OpeningManim" {
			return s
		}
	}
	return b.scenes[0]
}

// halfCores compares four computers with one, and with stock Manim, all of the
// same speed.
func halfCores(b *bench) error {
	s, quality := b.longScene(), "-qh"
	one, err := b.newMesh(1, quota, "--slots", "1")
	if err != nil {
		return err
	}
	defer one.close()
	four, err := b.newMesh(4, quota, "--slots", "1")
	if err != nil {
		return err
	}
	defer four.close()
	bare, err := lan.New(1)
	if err != nil {
		return err
	}
	defer bare.Close()
	if err := bare.Quota(1, quota); err != nil {
		return err
	}
	var took [3][]float64
	for range b.runs {
		for i, render := range []func(media string) (float64, error){
			func(media string) (float64, error) {
				c, err := run(b.manim(&place{bare, 1}, s, quality, media))
				return c.wall, err
			},
			func(media string) (float64, error) { return one.render(s, quality, media) },
			func(media string) (float64, error) { return four.render(s, quality, media) },
		} {
			media, err := s.media(b)
			if err != nil {
				return err
			}
			wall, err := render(media)
			if err := errors.Join(err, os.RemoveAll(media), one.settle(), four.settle()); err != nil {
				return err
			}
			say("mesh: %s: %.1f s", [3]string{"stock", "one node", "four nodes"}[i], wall)
			took[i] = append(took[i], wall)
		}
	}
	stock, alone, all := median(took[0]), median(took[1]), median(took[2])
	fmt.Printf("%s %s, each computer with %.1f core by CPU quota, warm nodes; wall seconds, medians of %d, taken by turns.\n\n", s.name, quality, quota, b.runs)
	header("", "seconds", "against stock", "against one node", "of four computers")
	row("stock Manim", fmt.Sprintf("%.1f", stock), times(1), "", "")
	row("one node", fmt.Sprintf("%.1f", alone), times(stock/alone), times(1), "")
	row("four nodes", fmt.Sprintf("%.1f", all), times(stock/all), times(alone/all), fmt.Sprintf("%.2f", alone/all/4))
	return nil
}

// render publishes on the first computer and returns the seconds it took.
func (m *mesh) render(s scene, quality, media string) (float64, error) {
	begun := time.Now()
	_, err := publish(m.nodes[0].at, m.nodes[0].home, s, media, nil, quality, "--seed", "0", "--disable_caching")
	return time.Since(begun).Seconds(), err
}
