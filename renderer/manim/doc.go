// SPDX-License-Identifier: MIT

// Package manim renders scenes of Manim Community, frame for frame as `manim
// render` would. The work is done by an embedded Python engine (engine/,
// docs/engine.md); this package starts engines, in the sandbox for other peers'
// jobs, and speaks their protocol.
package manim
