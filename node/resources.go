// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// readiness is what this node knows of its own renderer.
type readiness struct {
	known chan struct{}     // closed when the first look is over
	envs  []job.Environment // that were found then
	err   error             // why it does not work here, and what to do
}

// resourcesEvery is how often free disk and memory are looked at again.
const resourcesEvery = 30 * time.Second

// followResources looks at the renderer once, and at the machine again and
// again.
func (n *Node) followResources() {
	envs, err := n.environments()
	n.mu.Lock()
	n.readiness.envs, n.readiness.err = envs, err
	n.mu.Unlock()
	close(n.readiness.known)
	if err != nil {
		n.log.Warn("this node does not render", "reason", err)
		n.warnAdvert(func(a *job.Advert) { a.Lacks = job.Clip(err.Error()) })
	} else {
		n.parts.Renderer.Warm(renderer.Own, envs[0].Fingerprint)
		n.keepKnown(envs)
		n.ownFirst(envs)
		tier, err := n.parts.Renderer.Sandbox(n.ctx)
		n.warnAdvert(func(a *job.Advert) {
			a.Environments, a.Sandbox, a.Lacks = envs, tier, ""
			if err != nil {
				a.Sandbox, a.Lacks = "none", job.Clip(err.Error())
			}
		})
		switch {
		case err != nil && n.ctx.Err() == nil:
			n.log.Warn("this node renders only its own jobs", "reason", err)
		case err == nil:
			n.log.Info("ready to render for others", "renderers", renderers(envs), "sandbox", tier)
		}
		for _, env := range envs {
			n.selfTest(env.Fingerprint)
		}
		n.parts.Renderer.Warm(renderer.Foreign, envs[0].Fingerprint)
	}
	tick := time.NewTicker(resourcesEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
			n.lookAtDisk()
			n.warnAdvert(func(*job.Advert) {})
		}
	}
}

// ownFirstEvery is how often a node that was started for a job of its user looks
// whether there still is one.
const ownFirstEvery = 5 * time.Second

// ownFirst waits, on a node that was started for a job of its user, until there
// has been none for a while: trying the sandbox and warming engines for others
// takes a second of all cores. What a peer needs to be of use to the job is told
// at once.
func (n *Node) ownFirst(envs []job.Environment) {
	if !n.parts.OwnFirst {
		return
	}
	for _, env := range envs {
		if env.SelfTest == "" {
			n.selfTest(env.Fingerprint)
		}
	}
	n.warnAdvert(func(a *job.Advert) {
		a.Environments, a.Sandbox, a.Lacks = envs, "none", "it was started for a job of its user, which comes first"
	})
	look := time.NewTicker(ownFirstEvery)
	defer look.Stop()
	for idle := false; ; {
		select {
		case <-look.C:
		case <-n.ctx.Done():
			return
		}
		n.mu.Lock()
		was := idle
		idle = len(n.published) == 0
		n.mu.Unlock()
		if was && idle {
			return
		}
	}
}

// beSick tells the mesh that this node has stopped to render for others, and why;
// with an empty reason, that it does again.
func (n *Node) beSick(reason string) {
	if reason == "" {
		n.log.Info("rendering for others again")
	} else {
		n.log.Error("not rendering for others for a while", "reason", reason)
	}
	n.warnAdvert(func(a *job.Advert) { a.Sick = reason })
}

// renderers names environments for people.
func renderers(envs []job.Environment) string {
	names := make([]string, len(envs))
	for i, e := range envs {
		names[i] = e.Renderer + " " + e.Version
	}
	return strings.Join(names, ", ")
}

// environments returns what the renderer has here, at least one.
func (n *Node) environments() ([]job.Environment, error) {
	ctx, cancel := context.WithTimeout(n.ctx, time.Minute)
	defer cancel()
	envs, err := n.parts.Renderer.Environments(ctx)
	if err == nil && len(envs) == 0 {
		err = fmt.Errorf("%s is not installed here: run \"meshnode setup\"", n.parts.Renderer.Name())
	}
	return envs, err
}

// keepKnown shares what earlier self-tests gave, before the mesh is told of them.
func (n *Node) keepKnown(envs []job.Environment) {
	for _, env := range envs {
		if env.SelfTest == "" {
			continue
		}
		result, err := n.parts.Renderer.SelfTest(n.ctx, env.Fingerprint) // not run again
		if err == nil {
			err = n.keepPictures(n.ctx, result)
		}
		if err != nil {
			n.log.Warn("self-test not shared", "err", err)
		}
	}
}

// selfTest tries the renderer in one of its environments, and tells the mesh what
// came of it. The speed of the node is that of its first environment.
func (n *Node) selfTest(env string) {
	ctx, cancel := context.WithTimeout(n.ctx, 2*time.Minute)
	defer cancel()
	result, err := n.parts.Renderer.SelfTest(ctx, env)
	if err != nil {
		if n.ctx.Err() == nil {
			n.log.Warn("self-test failed", "environment", env[:min(len(env), 12)], "err", err)
		}
		return
	}
	err = n.keepPictures(ctx, result)
	if err != nil {
		n.log.Warn("self-test not shared", "err", err)
		return
	}
	envs, err := n.environments() // with the result
	if err != nil {
		return
	}
	n.warnAdvert(func(a *job.Advert) {
		a.Environments = envs
		if env == envs[0].Fingerprint {
			a.Speed = result.Speed
		}
	})
}

// environment returns the environment for a job of this node, as soon as that is
// known, or why there is none.
func (n *Node) environment(ctx context.Context, req PublishRequest) (job.Environment, error) {
	select {
	case <-n.readiness.known:
	case <-ctx.Done():
		return job.Environment{}, ctx.Err()
	}
	n.mu.Lock()
	err := n.readiness.err
	n.mu.Unlock()
	if err != nil {
		return job.Environment{}, err
	}
	want := renderer.Wish{Version: req.Manim, Program: req.Python}
	env, err := n.parts.Renderer.Choose(ctx, want)
	told := slices.ContainsFunc(n.currentAdvert().Environments, func(e job.Environment) bool { return e.Fingerprint == env.Fingerprint })
	if err != nil || told || want == (renderer.Wish{}) {
		return env, err
	}
	// It was set up after this node began. Peers with other libraries work in it
	// only when they have compared it with theirs.
	n.selfTest(env.Fingerprint)
	return n.parts.Renderer.Choose(ctx, want)
}

// Pause makes the node take no more work of others, or take it again. What it
// holds of theirs is given up.
func (n *Node) Pause(paused bool) error {
	return n.changeAdvert(func(a *job.Advert) { a.Paused = paused })
}

func (n *Node) currentAdvert() job.Advert {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.advert
}

// forOthers returns what this node offers to its peers now.
func (n *Node) forOthers() job.Advert {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.advert
	if n.trouble != "" {
		a.Sick = n.trouble
	}
	if n.full {
		a.Slots, a.Lacks = 0, fmt.Sprintf("the disk is nearly full: %d MiB are free, others' jobs need %d", a.Disk>>20, minFree>>20)
	}
	return a
}

// changeAdvert changes what this node says of itself, to the scheduler and to
// its peers.
func (n *Node) changeAdvert(change func(*job.Advert)) error {
	n.mu.Lock()
	change(&n.advert)
	n.advert.V = job.Version
	was := n.full
	free, known := n.free()
	is := known && free < minFree
	n.advert.Disk, n.full = free, is
	n.mu.Unlock()
	advert := n.forOthers()
	n.guests.allow(roomForGuests(advert))
	switch {
	case is && !was:
		n.log.Warn("this node takes no work of others", "reason", advert.Lacks)
	case was && !is:
		n.log.Info("this node takes work of others again: there is room on the disk")
	}
	raw, err := advert.Encode()
	if err != nil {
		return err
	}
	n.post(scheduler.Resources{Advert: &advert})
	return n.parts.Network.Advertise(raw)
}

func (n *Node) warnAdvert(change func(*job.Advert)) {
	if err := n.changeAdvert(change); err != nil && !errors.Is(err, context.Canceled) && n.ctx.Err() == nil {
		n.log.Warn("peers not told of this node's resources", "err", err)
	}
}

// minFree is the disk space that others' jobs leave alone, in bytes. A node that has
// less works for its user only.
const minFree = 1 << 30

// free returns the bytes free on the node's disk, and whether that is known.
func (n *Node) free() (uint64, bool) {
	if n.parts.Free == nil {
		return 0, false
	}
	return n.parts.Free()
}

// lookAtDisk frees what no job needs when the disk has become full, and tells the mesh
// if that was not enough. What has failed because of it is then not the job's fault.
func (n *Node) lookAtDisk() {
	free, known := n.free()
	if !known || free >= minFree {
		return
	}
	if err := n.makeRoom(n.ctx); err != nil && n.ctx.Err() == nil {
		n.log.Warn("old blocks not collected", "err", err)
	}
	n.warnAdvert(func(*job.Advert) {})
}

// roomFor returns how many bytes of a file set may be fetched: at most limit,
// and never the last of the disk.
func (n *Node) roomFor(limit uint64) uint64 {
	free, known := n.free()
	if !known {
		return limit
	}
	return min(limit, max(free, minFree)-minFree)
}
