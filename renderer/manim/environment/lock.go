// SPDX-License-Identifier: MIT

package environment

import (
	"context"
	"fmt"
	"os"
	"time"
)

// lockPoll is how often a setup that waits looks whether the other has ended.
const lockPoll = 200 * time.Millisecond

// lockSetup waits until no other setup of that version works under home. The
// lock goes with the process that holds it, however that ends.
func (r release) lockSetup(ctx context.Context, home string, progress func(string)) (unlock func(), err error) {
	if err := os.MkdirAll(folder(home), 0o700); err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	name := r.folder(home) + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	for waiting := false; ; waiting = true {
		taken, err := tryLock(f)
		if taken {
			return func() { f.Close() }, nil
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("environment: lock %s: %w", name, err)
		}
		if !waiting {
			progress("Another setup of Manim " + r.manim + " is at work; waiting for its end.")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("environment: wait for another setup: %w", ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}
