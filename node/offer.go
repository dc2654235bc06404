// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// offer makes a job of a plan, and offers it to the mesh.
func (n *Node) offer(ctx context.Context, p *publication, plan *renderer.Plan, req PublishRequest) error {
	man := n.manifest(p, plan)
	var err error
	if man.Assets, err = n.importAssets(ctx, plan.Files); err != nil {
		return err
	}
	keys := keysFor(plan, man.Assets)
	if block := job.EncodeKeys(keys); block != nil {
		if man.Keys, err = n.parts.Store.PutBlock(ctx, block); err != nil {
			return fmt.Errorf("keys not stored: %w", err)
		}
	}
	block, id, err := man.Block()
	if err != nil {
		return err
	}
	if _, err := n.parts.Store.PutBlock(ctx, block); err != nil {
		return fmt.Errorf("manifest not stored: %w", err)
	}
	pins := []job.CID{job.CID(id), man.Assets}
	if man.Keys != "" {
		pins = append(pins, man.Keys)
	}
	if err := n.parts.Store.Pin(ctx, string(id), pins...); err != nil {
		return fmt.Errorf("manifest not pinned: %w", err)
	}
	cached := n.reuse(ctx, id, man, keys)
	w := n.workOn(id)
	w.setKeys(keys, scriptOf(req))
	trust := n.trust(req)
	w.mu.Lock()
	w.setManifest(man)
	w.believe(trust)
	w.own, w.engine = true, p.engine
	w.mu.Unlock()
	if trust == scheduler.TrustMine && len(n.parts.Mesh.Secret) == 0 && n.roles.role(Others) != RoleBlocked {
		p.emit(Event{Event: "note", Text: "--trust mine: this mesh is open, and whatever anybody in it renders is believed"})
	}
	n.mu.Lock()
	p.engine = nil // its own no more
	p.id, p.man, p.work, p.state, p.kept = id, man, w, "rendering", uint32(len(cached))
	n.takePlan(p, plan)
	if r := n.requests[req.Ticket]; r != nil {
		r.jobs = append(r.jobs, id)
	}
	n.mu.Unlock()
	n.intend(sceneKey(req.Ticket, req.scene), sceneRecord{Job: id, Begun: p.begun})
	for _, c := range cached {
		w.has(c.Cell, c.Output)
		n.toStream(id, c.Cell, c.Output)
	}
	n.log.Info("job offered", "job", id.Short(), "scene", plan.Name, "frames", man.Frames(), "cells", len(man.Grid()), "kept", len(cached))
	secret := make([]byte, 32)
	rand.Read(secret)
	n.post(scheduler.Submit{Job: id, Manifest: man, LocalSlots: n.localSlots(req), Cached: cached, Trust: trust, Secret: secret})
	return nil
}

// takePlan keeps what only the plan of a job tells. Node.mu is held.
func (n *Node) takePlan(p *publication, plan *renderer.Plan) {
	p.lender, p.preview = newLender(plan), plan.Preview && !plan.Sound
	if plan.Stream && p.stream == nil {
		p.stream = newStream(p.man)
		n.streams[p.id] = p.stream
	}
}

// planned describes an offered job.
func (p *publication) planned() Event {
	return Event{
		Event: "planned", Job: p.id, Name: p.name, Frames: p.man.Frames(), Plays: uint32(len(p.man.Plays)), Cells: uint32(len(p.man.Grid())),
		Kept: p.kept, FPS: p.man.FPS, Width: p.man.Width, Height: p.man.Height, Seed: p.seed,
	}
}

// await waits until all cells of an offered job are collected, and tells how far it
// is.
func (n *Node) await(ctx context.Context, p *publication) (map[uint32]job.CID, error) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	var last Event
	told := false // that there is something to watch
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case err := <-p.failed:
			return nil, err
		case reason := <-p.alone:
			return nil, &aloneError{reason}
		case cells := <-p.cells:
			return cells, nil
		case <-tick.C:
			now := n.progress(p.id)
			if !equalProgress(now, last) {
				p.emit(now)
				last = now
			}
			if s := n.streamOf(p); !told && s != nil && now.Seconds > worthWatching && s.begun() {
				told = true
				p.emit(Event{Event: "watchable", Job: p.id, Name: p.name, Preview: p.preview})
			}
		}
	}
}

// trust is how far the peers are believed that render a job, unless the user says
// something else: those of a private mesh are his own. In an open one they mostly are,
// too, and more than a spot check would cost what a first job gains by new computers.
func (n *Node) trust(req PublishRequest) scheduler.Trust {
	if t, err := scheduler.ParseTrust(req.Trust); err == nil {
		return t
	}
	if len(n.parts.Mesh.Secret) > 0 {
		return scheduler.TrustMine
	}
	return scheduler.TrustSpot
}

// manifest describes a planned job, but for its assets.
func (n *Node) manifest(p *publication, plan *renderer.Plan) *job.Manifest {
	return &job.Manifest{
		V: job.Version, Submitter: n.self, Nonce: p.nonce, Name: plan.Name, Need: plan.Need, Spec: plan.Spec,
		Width: plan.Width, Height: plan.Height, FPS: plan.FPS, Plays: plan.Plays, CellFrames: plan.CellFrames, Walk: plan.Walk,
	}
}

// worthWatching is how many seconds of rendering must be left for a film to be
// watched meanwhile: a finished one is better to watch.
const worthWatching = 3

// localSlots is how many cells of a job of this node are rendered here at a
// time.
func (n *Node) localSlots(req PublishRequest) uint32 {
	slots := n.currentAdvert().Slots
	if req.LocalSlots != nil {
		slots = min(slots, *req.LocalSlots)
	}
	return slots
}

func equalProgress(a, b Event) bool {
	return a.Done == b.Done && a.Checks == b.Checks && a.Rate == b.Rate && a.Seconds == b.Seconds && slices.Equal(a.Nodes, b.Nodes)
}

func (n *Node) importAssets(ctx context.Context, files []renderer.Asset) (job.CID, error) {
	sources := make([]blockstore.Source, len(files))
	for i, f := range files {
		info, err := os.Stat(f.Source)
		if err != nil {
			return "", fmt.Errorf("asset: %w", err)
		}
		sources[i] = blockstore.Source{Path: f.Path, Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(f.Source) }}
	}
	cid, _, err := n.parts.Store.Import(ctx, sources)
	if err != nil {
		return "", fmt.Errorf("assets: %w", err)
	}
	return cid, nil
}
