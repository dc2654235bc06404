// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"fmt"
	"slices"

	"meshnode/renderer"
)

// Alike implements renderer.Engine.
func (e *engine) Alike(ctx context.Context, own, other []string) error {
	return e.compare(ctx, slices.Concat(own, other), func(in string) map[string]any {
		return map[string]any{"t": "compare", "own": pathsIn(in, own), "other": pathsIn(in, other)}
	})
}

// compare has the hub's child process look at files below In, one request at a time.
func (e *engine) compare(ctx context.Context, files []string, request func(in string) map[string]any) error {
	e.comparing.Lock()
	defer e.comparing.Unlock()
	h := e.current()
	if err := h.proc.GiveFiles(files); err != nil {
		return err
	}
	select {
	case <-h.compared: // of an Alike that was given up
	default:
	}
	if err := h.send(request(h.proc.Dirs().In)); err != nil {
		return err
	}
	select {
	case err := <-h.compared:
		return err
	case <-h.done:
		return h.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// comparedOf words what a comparison has found.
func comparedOf(m *message) error {
	switch m.Reason {
	case "":
		return nil
	case "unlike":
		return fmt.Errorf("%w: %s", renderer.ErrUnlike, clip(m.Text))
	case "fault":
		return fmt.Errorf("%w: %s", renderer.ErrNoCell, clip(m.Text))
	}
	return fmt.Errorf("manim: comparison: %s: %s", m.Reason, clip(m.Text))
}
