// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"fmt"

	"meshnode/renderer"
)

// Check implements renderer.Engine.
func (e *engine) Check(ctx context.Context) error {
	h := e.current()
	select {
	case <-h.check: // of a Check that was given up
	default:
	}
	if err := h.send(map[string]any{"t": "check"}); err != nil {
		return err
	}
	select {
	case err := <-h.check:
		return err
	case <-h.done:
		return h.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkedOf words what a second walk has found.
func checkedOf(m *message) error {
	switch m.Reason {
	case "":
		return nil
	case "diverged", "pixels":
		return fmt.Errorf("%w: %s", renderer.ErrDiverged, m.Text)
	}
	return fmt.Errorf("manim: second walk: %s: %s", m.Reason, m.Text)
}
