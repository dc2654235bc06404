// SPDX-License-Identifier: MIT

package environment

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// command prepares a program whose children end with it when ctx ends.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = 5 * time.Second // for a grandchild that keeps the pipes open
	return cmd
}

// tail is a writer that keeps the last max bytes.
type tail struct {
	max int
	b   []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - t.max; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte { return t.b }

// withOutput adds what a program said last to its error.
func withOutput(err error, said *tail) error {
	text := strings.TrimSpace(string(said.bytes()))
	if text == "" {
		return err
	}
	return fmt.Errorf("%w\n%s", err, text)
}

// lines is a writer that passes on each complete line.
type lines struct {
	each    func(string)
	partial []byte
}

func (l *lines) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n' || c == '\r':
			if len(l.partial) > 0 {
				l.each(string(l.partial))
			}
			l.partial = l.partial[:0]
		case len(l.partial) < 4<<10:
			l.partial = append(l.partial, c)
		}
	}
	return len(p), nil
}
