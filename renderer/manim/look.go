// SPDX-License-Identifier: MIT

package manim

import "context"

// Look implements renderer.Engine.
func (e *engine) Look(ctx context.Context, cell uint32, files []string) error {
	return e.compare(ctx, files, func(in string) map[string]any {
		return map[string]any{"t": "look", "cell": cell, "files": pathsIn(in, files)}
	})
}
