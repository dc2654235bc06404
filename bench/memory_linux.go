// SPDX-License-Identifier: MIT

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// memory measures the most memory that a node's engines take.
func memory(b *bench) error {
	fmt.Println("The most memory of all engine processes together (PSS), looked at five times a second, with two slots; MiB.")
	fmt.Println()
	header("scene", "idle", "processes", "rendering", "processes")
	for _, quality := range []string{"-ql", "-qh", "-qk"} {
		for _, s := range b.scenes {
			say("memory: %s %s", s.name, quality)
			if err := b.memoryOf(s, quality); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) memoryOf(s scene, quality string) (err error) {
	home, err := b.newHome()
	if err != nil {
		return err
	}
	n, err := start(nil, home, "--no-mdns", "--slots", "2")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	if err := errors.Join(n.ready(0), n.settle()); err != nil {
		return err
	}
	media, err := s.media(b)
	if err != nil {
		return err
	}
	defer os.RemoveAll(media)
	root := n.process.Process.Pid
	idle, idlers := memoryOf(root)

	var most uint64
	var processes int
	_, err = n.watch(s, media, func(_ float64, pss uint64, n int) {
		most, processes = max(most, pss), max(processes, n)
	}, quality, "--seed", "0")
	if err != nil {
		return err
	}
	row(s.name+" "+quality, mib(idle), fmt.Sprint(idlers), mib(most), fmt.Sprint(processes))
	return nil
}

func mib(bytes uint64) string { return fmt.Sprint(bytes >> 20) }

// watch publishes a scene and looks at the memory of the node's engines
// meanwhile: how much of the film is done, bytes, and processes.
func (n *node) watch(s scene, media string, look func(part float64, pss uint64, processes int), args ...string) ([]event, error) {
	type result struct {
		events []event
		err    error
	}
	ended := make(chan result, 1)
	var part atomic.Value // float64
	part.Store(0.0)
	go func() {
		events, err := publish(n.at, n.home, s, media, func(e event) {
			if e.Event == "progress" && e.Frames > 0 {
				part.Store(float64(e.Done) / float64(e.Frames))
			}
		}, args...)
		ended <- result{events, err}
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case r := <-ended:
			return r.events, r.err
		case <-tick.C:
			pss, processes := memoryOf(n.process.Process.Pid)
			look(part.Load().(float64), pss, processes)
		}
	}
}

//go:embed testdata/long.py
var longScene []byte

// long measures whether an engine's memory grows with the length of the film.
func long(b *bench) (err error) {
	dir, err := os.MkdirTemp("", "long")
	if err != nil {
		return err
	}
	s := scene{file: filepath.Join(dir, "long.py"), name: "TenMinutes"}
	if err := os.WriteFile(s.file, longScene, 0o600); err != nil {
		return err
	}
	home, err := b.newHome()
	if err != nil {
		return err
	}
	n, err := start(nil, home, "--no-mdns", "--slots", "2")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	if err := errors.Join(n.ready(0), n.settle()); err != nil {
		return err
	}
	fmt.Println("The most memory of all engine processes together (PSS, MiB), with two slots, while each tenth of a film of ten minutes " +
		"(9,000 frames in 600 plays, 480p15) is rendered; and the most processes.")
	fmt.Println()
	var most [10]uint64
	var processes [10]int
	if _, err := n.watch(s, filepath.Join(dir, "media"), func(part float64, pss uint64, n int) {
		i := min(int(part*10), 9)
		most[i], processes[i] = max(most[i], pss), max(processes[i], n)
	}, "-ql", "--seed", "0"); err != nil {
		return err
	}
	cells, ids := []string{"memory"}, []string{"processes"}
	head := []string{"tenth"}
	for i := range most {
		head = append(head, fmt.Sprint(i+1))
		cells = append(cells, mib(most[i]))
		ids = append(ids, fmt.Sprint(processes[i]))
	}
	header(head...)
	row(cells...)
	row(ids...)
	return nil
}
