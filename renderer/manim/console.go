// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
)

// console cuts what an own engine prints into lines, for whoever plans now.
type console struct {
	to   atomic.Pointer[func(string)]
	mu   sync.Mutex
	part []byte // a line that has not ended
}

// consoleLine bounds a line; longer ones are cut into several.
const consoleLine = 64 << 10

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.part = append(c.part, p...)
	for {
		line, rest, ended := bytes.Cut(c.part, []byte("\n"))
		if !ended && len(line) < consoleLine {
			return len(p), nil
		}
		c.line(strings.TrimRight(string(line), "\r"))
		c.part = rest
	}
}

func (c *console) line(text string) {
	if to := c.to.Load(); to != nil && *to != nil {
		(*to)(text)
	}
}
