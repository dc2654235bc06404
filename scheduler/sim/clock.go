// SPDX-License-Identifier: MIT

package sim

import "time"

// clock is a node's own. Its monotonic reading begins at zero with each life,
// runs at a rate of its own, and stands still while the computer is suspended. The
// wall clock is the same, off by some time that changes; nothing may depend on it.
type clock struct {
	rate    float64
	since   time.Duration // virtual time of the last change
	reading time.Duration // by then
	stopped bool
	wall    time.Duration // by which the wall clock is off
}

func (c *clock) begin(now time.Duration) { c.since, c.reading, c.stopped = now, 0, false }

// monotonic returns the reading at a virtual time.
func (c *clock) monotonic(now time.Duration) time.Duration {
	if c.stopped {
		return c.reading
	}
	return c.reading + time.Duration(float64(now-c.since)*c.rate)
}

// when returns the virtual time at which the clock will read t, if it goes on.
func (c *clock) when(t time.Duration) time.Duration {
	return c.since + time.Duration(float64(t-c.reading)/c.rate) + 1
}

func (c *clock) stop(now time.Duration) { c.reading, c.since, c.stopped = c.monotonic(now), now, true }
func (c *clock) goOn(now time.Duration) { c.since, c.stopped = now, false }
