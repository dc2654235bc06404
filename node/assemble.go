// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// finished is a film, with its hash and who rendered it.
type finished struct {
	renderer.Film
	sha256 string
	nodes  []NodeFrames
}

// maxAssemblies bounds how often the assembly of a film is begun anew, when cells
// have rotted on this disk, or the engine has ended.
const maxAssemblies = 5

// collected waits for the cells of an offered job, and makes the film of them.
func (n *Node) collected(ctx context.Context, p *publication) (*finished, error) {
	w := p.work
	var cells map[uint32]job.CID
	for try := 1; ; try++ {
		var err error
		if cells == nil {
			if cells, err = n.await(ctx, p); err != nil {
				return nil, err
			}
			n.keepResults(ctx, w, cells)
		}
		engine, err := n.engineOf(ctx, w)
		if err != nil {
			return nil, err
		}
		film, lost, err := n.assemble(ctx, p, engine, cells, n.framesBy(p.id), try)
		switch {
		case err == nil:
			return film, nil
		case ctx.Err() != nil || try == maxAssemblies:
			return nil, err
		case len(lost) > 0:
			n.log.Warn("cells are damaged, and collected again", "job", p.id.Short(), "cells", len(lost), "err", err)
			cells = nil
			n.post(scheduler.Lost{Job: p.id, Cells: lost})
		case errors.Is(err, renderer.ErrEnded):
			n.log.Warn("the engine has ended, and the film is assembled again", "job", p.id.Short(), "err", err)
			n.dropEngine(w, engine)
		default:
			return nil, err
		}
	}
}

// assemble hands the cells to the engine that has planned the job. lost are those
// that are damaged here.
func (n *Node) assemble(ctx context.Context, p *publication, engine renderer.Engine, cells map[uint32]job.CID, nodes []NodeFrames, try int) (film *finished, lost []uint32, err error) {
	n.mu.Lock()
	if p.state != stateAlone {
		p.state = "assembling"
	}
	n.mu.Unlock()
	p.emit(Event{Event: "assembling", Job: p.id, Nodes: nodes})
	files, lost, err := n.exportCells(ctx, engine.Out(), fmt.Sprintf("collected%d", try), cells)
	if err != nil {
		return nil, lost, err
	}
	s := n.streamOf(p)
	shown := s != nil && s.decide() || p.req.Shown
	made, err := engine.Assemble(ctx, files, shown)
	if err != nil {
		return nil, nil, err
	}
	if len(made.Files) == 0 {
		return nil, nil, errors.New("the renderer wrote no file")
	}
	sum, err := hashFile(made.Files[0])
	if err != nil {
		return nil, nil, err
	}
	return &finished{*made, sum, nodes}, nil, nil
}

// exportCells writes cells' files under dir and returns their names. lost are cells that
// are damaged here; then there is an error, too.
func (n *Node) exportCells(ctx context.Context, to *os.Root, dir string, cells map[uint32]job.CID) (files map[uint32][]string, lost []uint32, err error) {
	files = make(map[uint32][]string, len(cells))
	for cell, cid := range cells {
		names, exportErr := n.exportCell(ctx, to, fmt.Sprintf("%s/%d", dir, cell), cid)
		switch {
		case errors.Is(exportErr, blockstore.ErrCorrupt), errors.Is(exportErr, blockstore.ErrNotFound):
			lost, err = append(lost, cell), exportErr
		case exportErr != nil:
			return nil, nil, fmt.Errorf("cell %d: %w", cell, exportErr)
		}
		files[cell] = names
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		return nil, lost, fmt.Errorf("%d of %d cells are not here any more: %w", len(lost), len(cells), err)
	}
	return files, nil, nil
}

// exportCell writes a cell's files under dir and returns their names.
func (n *Node) exportCell(ctx context.Context, out *os.Root, dir string, cid job.CID) ([]string, error) {
	if err := out.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := out.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := n.parts.Store.Export(ctx, cid, root); err != nil {
		return nil, err
	}
	block, err := n.parts.Store.Block(ctx, cid, nil)
	if err != nil {
		return nil, err
	}
	set, err := job.DecodeFileSet(block)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(set.Files))
	for i, f := range set.Files {
		names[i] = path.Join(dir, f.Path)
	}
	return names, nil
}

func hashFile(name string) (string, error) {
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return "", fmt.Errorf("film: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return "", err // a folder of pictures has no one hash
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("film: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
