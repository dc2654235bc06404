// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"meshnode/e2e/lan"
)

// latency measures how soon another computer has rendered something.
func latency(b *bench) error {
	m, err := b.newMesh(2, 0, "--slots", "1")
	if err != nil {
		return err
	}
	defer m.close()
	fmt.Printf("Two warm nodes; only the other one renders (--slots 0). Seconds, medians of %d.\n\n", b.runs)
	header("scene", "key press to plan", "plan to first cell collected", "key press to first cell", "to first cell of one frame")
	for _, s := range b.scenes {
		var planned, gap, first, firstFrame []float64
		for range b.runs {
			plan, cell, err := m.firstCell(b, s)
			if err != nil {
				return err
			}
			planned, gap, first = append(planned, plan), append(gap, cell-plan), append(first, cell)
			_, frame, err := m.firstCell(b, s, "--cell-frames", "1")
			if err != nil {
				return err
			}
			firstFrame = append(firstFrame, frame)
			say("latency: %s: plan %.2f s, first cell %.2f s, first frame %.2f s", s.name, plan, cell, frame)
		}
		row(s.name+" -ql", seconds(planned), seconds(gap), seconds(first), seconds(firstFrame))
	}
	return nil
}

func seconds(values []float64) string { return fmt.Sprintf("%.2f", median(values)) }

// firstCell returns when the job was planned and when its first cell was here,
// in seconds since the key press. The node looks five times a second.
func (m *mesh) firstCell(b *bench, s scene, args ...string) (planned, first float64, err error) {
	if err := m.settle(); err != nil {
		return 0, 0, err
	}
	media, err := s.media(b)
	if err != nil {
		return 0, 0, err
	}
	events, err := publish(m.nodes[0].at, m.nodes[0].home, s, media, nil, append([]string{"-ql", "--seed", "0", "--disable_caching", "--slots", "0"}, args...)...)
	if err := errors.Join(err, os.RemoveAll(media)); err != nil {
		return 0, 0, err
	}
	for _, e := range events {
		if e.Event == "planned" {
			planned = e.at.Seconds()
		}
		if first == 0 && e.Event == "progress" && e.Done > 0 {
			first = e.at.Seconds()
		}
	}
	if planned == 0 || first == 0 {
		return 0, 0, fmt.Errorf("%s: never planned, or nothing collected", s.name)
	}
	return planned, first, nil
}

// joins is how often a node is started to see it join.
const joins = 20

// joining measures the time from the start of a node until it and a peer know
// each other.
func joining(b *bench) error {
	if b.alone != nil {
		return fmt.Errorf("%w: %w", errSkipped, b.alone)
	}
	network, err := lan.New(2)
	if err != nil {
		return err
	}
	defer network.Close()
	host, err := os.MkdirTemp("", "h")
	if err != nil {
		return err
	}
	resident, err := start(&place{network, 1}, host, "--slots", "0")
	if err != nil {
		return err
	}
	defer resident.stop()
	if err := resident.until("listening", func(status) bool { return true }); err != nil {
		return err
	}
	var took []float64
	for range joins {
		joined, err := join(network, resident)
		if err != nil {
			return err
		}
		say("joining: %.2f s", joined.Seconds())
		took = append(took, joined.Seconds())
	}
	fmt.Printf("From the start of a new node until it and the one that runs know each other, %d times: median %.2f s, worst %.2f s.\n",
		joins, median(took), slices.Max(took))
	return nil
}

func join(network *lan.Network, resident *node) (took time.Duration, err error) {
	home, err := os.MkdirTemp("", "h")
	if err != nil {
		return 0, err
	}
	n, err := start(&place{network, 2}, home, "--slots", "0")
	if err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, n.stop(), resident.until("alone", func(s status) bool { return len(s.Peers) == 0 }))
	}()
	know := func(s status) bool { return len(s.Peers) == 1 }
	err = errors.Join(n.until("joined", know), resident.until("joined", know))
	return time.Since(n.begun), err
}
