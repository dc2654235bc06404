// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// keying says what keys the cells of a request are to have, nil if none: nothing of
// it is kept.
func (n *Node) keying(req PublishRequest) *renderer.Keying {
	if req.DryRun {
		return nil
	}
	// What was found for a job that believes others more is not for one that does less.
	salt := n.trust(req).String()
	if req.Strict {
		salt += " strict"
	}
	return &renderer.Keying{Salt: salt, Known: n.results.madeFrom(n.self, scriptOf(req))}
}

// scriptOf names the script of a request: it has been published before if there are
// results of that name.
func scriptOf(req PublishRequest) string {
	script := strings.Join(req.Args, "\x00")
	for _, arg := range req.Args {
		if strings.HasSuffix(arg, ".py") {
			script = arg
			break
		}
	}
	sum := sha256.Sum256([]byte(req.Dir + "\x00" + script))
	return hex.EncodeToString(sum[:8])
}

// keysFor returns the keys of a planned job's cells: those that the renderer has
// found, or else what all its inputs and the place of the cell come to.
func keysFor(plan *renderer.Plan, assets job.CID) []job.Key {
	if plan.Inputs == "" {
		return nil
	}
	keys := make([]job.Key, min(len(plan.Keys), job.MaxKeys))
	for i, key := range plan.Keys[:len(keys)] {
		if key == (job.Key{}) {
			key = sha256.Sum256(binary.BigEndian.AppendUint32([]byte(plan.Inputs+"\x00"+string(assets)+"\x00"), uint32(i)))
		}
		keys[i] = key
	}
	return keys
}

// keysOf returns the keys of the cells of a job; nil: they have none.
func (n *Node) keysOf(ctx context.Context, m *job.Manifest, from []job.PeerID) ([]job.Key, error) {
	if m.Keys == "" {
		return nil, nil
	}
	block, err := n.parts.Store.Block(ctx, m.Keys, from)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return job.DecodeKeys(block, len(m.Grid()))
}

// reuse returns the cells of a job whose outputs are here, sound and pinned for it,
// from earlier jobs of its submitter.
func (n *Node) reuse(ctx context.Context, id job.ID, m *job.Manifest, keys []job.Key) []scheduler.Cached {
	exact := m.Submitter != n.self && n.drawsAlike(m)
	found := make(map[uint32]result)
	var pins []job.CID
	for i, key := range keys {
		if one, ok := n.results.find(m.Submitter, key); ok && (!exact || one.Env == m.Need.Fingerprint) {
			found[uint32(i)] = one
			pins = append(pins, one.Output)
		}
	}
	if len(found) == 0 {
		return nil
	}
	if err := n.parts.Store.Pin(ctx, string(id), pins...); err != nil {
		n.log.Warn("earlier results not pinned", "job", id.Short(), "err", err)
		return nil
	}
	var cached []scheduler.Cached
	used := make(map[job.Key]result)
	var gone []job.Key
	for i, key := range keys {
		one, ok := found[uint32(i)]
		switch {
		case !ok:
		case n.stillThere(ctx, one, uint64(outputLimit(m, uint32(i)))):
			cached = append(cached, scheduler.Cached{Cell: uint32(i), Output: one.Output, Size: one.Size, From: one.By})
			used[key] = one
		case ctx.Err() == nil:
			gone = append(gone, key)
		}
	}
	err := n.results.keep(m.Submitter, used)
	if err == nil {
		err = n.results.forget(m.Submitter, gone)
	}
	if err != nil {
		n.log.Warn("the use of earlier results is not recorded", "err", err)
	}
	n.log.Info("cells are here from earlier jobs", "job", id.Short(), "cells", len(cached), "gone", len(gone))
	return cached
}

// drawsAlike reports whether this node has the environment of a job, or may have it: it
// is not known yet. What it says that it has rendered is then held to be that
// environment's, to the byte.
func (n *Node) drawsAlike(m *job.Manifest) bool {
	select {
	case <-n.readiness.known:
	default:
		return true
	}
	n.mu.Lock()
	envs := slices.Concat(n.readiness.envs, n.advert.Environments)
	n.mu.Unlock()
	return slices.ContainsFunc(envs, func(e job.Environment) bool { return e.Fingerprint == m.Need.Fingerprint })
}

// stillThere reports whether all blocks of a result are here, and sound.
func (n *Node) stillThere(ctx context.Context, one result, limit uint64) bool {
	block, err := n.parts.Store.Block(ctx, one.Output, nil)
	if err != nil {
		return false
	}
	set, err := job.DecodeFileSet(block)
	if err != nil || set.Size() != one.Size || set.Size() > limit {
		return false
	}
	for _, cid := range set.Blocks() {
		if _, err := n.parts.Store.Block(ctx, cid, nil); err != nil {
			return false
		}
	}
	return true
}

// keepResult remembers a cell that is here, for later jobs with the same.
func (n *Node) keepResult(w *work, cell uint32, output job.CID, size uint64) {
	m, key, script := w.keyOf(cell)
	n.rememberResults(w, m, map[job.Key]result{key: {Output: output, Size: size, Script: script, Env: w.drawnIn()}})
}

// rememberResults keeps results of a job; m is nil if there are none.
func (n *Node) rememberResults(w *work, m *job.Manifest, made map[job.Key]result) {
	if m == nil {
		return
	}
	if err := n.results.keep(m.Submitter, made); err != nil {
		n.log.Warn("results are not remembered", "job", w.job.Short(), "cells", len(made), "err", err)
	}
}

// keepResults remembers the cells of a film: what had to be checked has been. Who has
// rendered the others is remembered with them, as it may be found out later.
func (n *Node) keepResults(ctx context.Context, w *work, cells map[uint32]job.CID) {
	made := make(map[job.Key]result, len(cells))
	var man *job.Manifest
	for cell, output := range cells {
		block, err := n.parts.Store.Block(ctx, output, nil)
		if err != nil {
			continue // assembling it finds out
		}
		if set, err := job.DecodeFileSet(block); err == nil {
			m, key, script := w.keyOf(cell)
			man, made[key] = m, result{Output: output, Size: set.Size(), Script: script, By: w.makerOf(cell)}
		}
	}
	n.rememberResults(w, man, made)
}

// believesAll reports whether a job is one of this node whose cells are taken from
// others unchecked. Of no other job is remembered what others have rendered, before
// it was checked.
func (w *work) believesAll() bool {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	return w.believes
}

// resultsOf names what other jobs could have of a job.
func (n *Node) resultsOf(id job.ID) (results []resultKey) {
	w := n.workOn(id)
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	if w.man == nil {
		return nil
	}
	for _, key := range w.keys {
		results = append(results, resultKey{w.man.Submitter, key})
	}
	return results
}

// setKeys notes the keys of the job's cells, and what names its script.
func (w *work) setKeys(keys []job.Key, script string) {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	w.keys, w.script = keys, script
}

// setMakers notes who has rendered the cells of a job of this node, those of other nodes
// that were not checked.
func (w *work) setMakers(from map[uint32]job.PeerID) {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	w.makers = from
}

// makerOf returns who has rendered a cell; "": this node, or it was checked.
func (w *work) makerOf(cell uint32) job.PeerID {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	return w.makers[cell]
}

// drawnIn returns the environment of the engine that renders here; "": it is that of a
// job of this node.
func (w *work) drawnIn() string {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	return w.drawsIn
}

// keyOf returns the key of a cell, zero if it has none.
func (w *work) keyOf(cell uint32) (m *job.Manifest, key job.Key, script string) {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	if int(cell) < len(w.keys) {
		key = w.keys[cell]
	}
	return w.man, key, w.script
}
