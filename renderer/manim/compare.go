// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"

	"meshnode/renderer"
)

// Compare implements renderer.Verifier, in a process of its own: a film may be damaged.
func (r *Renderer) Compare(ctx context.Context, id, film string, fps float64, cells []renderer.FilmCell) (*renderer.Comparison, error) {
	if !slices.Contains([]string{".mp4", ".mov", ".webm"}, filepath.Ext(film)) {
		return nil, &renderer.UsageError{Text: "only films in mp4, mov or webm can be verified: others have no parts that could be compared"}
	}
	env, err := r.byID(id)
	if err != nil {
		return nil, err
	}
	type cell struct {
		First  uint32 `json:"first"`
		Frames uint32 `json:"frames"`
		File   string `json:"file"`
	}
	order := struct {
		Film  string  `json:"film"`
		FPS   float64 `json:"fps"`
		Cells []cell  `json:"cells"`
	}{Film: film, FPS: fps, Cells: []cell{}}
	for _, c := range cells {
		order.Cells = append(order.Cells, cell(c))
	}
	in, err := json.Marshal(order)
	if err != nil {
		return nil, fmt.Errorf("manim: compare: %w", err)
	}
	cmd := exec.CommandContext(ctx, env.Python, "-I", filepath.Join(filepath.Dir(r.look().entry), "film.py"))
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &said
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(err, &exit):
		return nil, fmt.Errorf("manim: the film cannot be compared: %s", lastLines(said.Bytes(), 1))
	case err != nil:
		return nil, fmt.Errorf("manim: compare: %w", err)
	}
	var found struct {
		Frames uint32 `json:"frames"`
		Steady bool   `json:"steady"`
		Cells  []struct {
			Same bool    `json:"same"`
			PSNR float64 `json:"psnr"`
			From uint32  `json:"from"`
			To   uint32  `json:"to"`
			Why  string  `json:"why"`
		} `json:"cells"`
	}
	if err := json.Unmarshal(out, &found); err != nil || len(found.Cells) != len(cells) {
		return nil, fmt.Errorf("manim: compare: not understood: %.200q", out)
	}
	c := &renderer.Comparison{Frames: found.Frames, Steady: found.Steady}
	for _, one := range found.Cells {
		c.Cells = append(c.Cells, renderer.CellComparison(one))
	}
	return c, nil
}

var _ renderer.Verifier = (*Renderer)(nil)
