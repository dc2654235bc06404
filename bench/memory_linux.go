// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// memory measures the most memory that a node's engines take.
func memory(b *bench) error {
	fmt.Println("The most memory of all engine processes together (PSS), looked at five times a second, with two slots; MiB.")
	fmt.Println()
	header("scene", "idle", "processes", "rendering", "processes")
	for _, quality := range []string{"-ql", "-qh"} {
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

	ended := make(chan error, 1)
	go func() {
		_, err := publish(nil, home, s, media, quality, "--seed", "0")
		ended <- err
	}()
	var most uint64
	var processes int
	for look := time.NewTicker(200 * time.Millisecond); ; {
		select {
		case err := <-ended:
			look.Stop()
			if err != nil {
				return err
			}
			mib := func(bytes uint64) string { return fmt.Sprint(bytes >> 20) }
			row(s.name+" "+quality, mib(idle), fmt.Sprint(idlers), mib(most), fmt.Sprint(processes))
			return nil
		case <-look.C:
			pss, n := memoryOf(root)
			most, processes = max(most, pss), max(processes, n)
		}
	}
}
