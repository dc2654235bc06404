// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// execute carries out one action. It runs on the loop: what takes time goes to
// a goroutine and answers with an event.
func (n *Node) execute(a scheduler.Action) {
	switch a := a.(type) {
	case scheduler.Persist, scheduler.Disgrace: // carryOut has
	case scheduler.Publish:
		n.publish(a.Msg)
	case scheduler.Relay:
		n.gossip(a.Raw, job.KindOffer)
	case scheduler.Send:
		n.tasks.Go(func() { n.send(a) })
	case scheduler.Request:
		life := n.life
		n.tasks.Go(func() { n.request(life, a) })
	case scheduler.Reply:
		n.reply(a.ID, a.Msg)
	case scheduler.ReplyState:
		n.replyState(a)
	case scheduler.FetchManifest:
		n.tasks.Go(func() { n.fetchManifest(a) })
	case scheduler.Warm:
		n.parts.Renderer.Warm(renderer.Foreign, a.Env)
	case scheduler.Compare:
		n.tasks.Go(func() { n.compare(a) })
	case scheduler.Prepare:
		n.prepare(a)
	case scheduler.Render:
		n.render(a)
	case scheduler.Drop:
		n.drop(a)
	case scheduler.Check:
		n.check(a)
	case scheduler.Fetch:
		n.collect(a)
	case scheduler.Assemble:
		n.toPublication(a.Job, func(p *publication) {
			p.work.setMakers(a.From)
			deliver(p.cells, a.Cells)
		})
		n.toFinish(a.Job, a.Cells)
	case scheduler.Release:
		n.release(a.Job)
	case scheduler.Rewalk:
		n.rewalk(a)
	case scheduler.RenderAlone:
		n.toPublication(a.Job, func(p *publication) { deliver(p.alone, a.Reason) })
	case scheduler.Fail:
		n.toPublication(a.Job, func(p *publication) { deliver(p.failed, errors.New(a.Reason)) })
	case scheduler.Sick:
		n.tasks.Go(func() { n.beSick(a.Reason) })
	case scheduler.Accuse:
		n.tasks.Go(func() { n.accuse(a) })
	case scheduler.Tell:
		n.log.Info(a.Text, "job", a.Job.Short())
		n.toPublication(a.Job, func(p *publication) { p.emit(Event{Event: "note", Text: a.Text}) })
	default:
		n.log.Error("unknown action", "type", fmt.Sprintf("%T", a))
	}
}

// deliver sends v unless nobody can take it: the loop does not wait.
func deliver[T any](to chan<- T, v T) {
	select {
	case to <- v:
	default:
	}
}

// publish signs and gossips a message of this node.
func (n *Node) publish(msg job.Message) {
	signed, err := job.Seal(n.parts.Network, msg)
	if err != nil {
		n.log.Error("message not sent", "kind", msg.Kind(), "err", err)
		return
	}
	n.gossip(signed.Raw, msg.Kind())
}

func (n *Node) gossip(raw []byte, kind job.Kind) {
	ctx, cancel := context.WithTimeout(n.ctx, time.Second)
	defer cancel()
	if err := n.parts.Network.Publish(ctx, topicOf(kind), raw); err != nil && n.ctx.Err() == nil {
		n.log.Warn("gossip not sent", "kind", kind, "err", err)
	}
}

// sendTime bounds a one-way message.
const sendTime = 5 * time.Second

func (n *Node) send(a scheduler.Send) {
	signed, err := job.Seal(n.parts.Network, a.Msg)
	if err != nil {
		n.log.Error("message not sent", "kind", a.Msg.Kind(), "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, sendTime)
	defer cancel()
	if _, err := n.parts.Network.Request(ctx, a.To, signed.Raw); err != nil {
		n.log.Debug("message not delivered", "kind", a.Msg.Kind(), "to", n.nameOf(a.To), "err", err)
	}
}

// request asks a peer for the scheduler, as long as that lives: another would number
// its requests anew.
func (n *Node) request(life context.Context, a scheduler.Request) {
	answer := scheduler.Answered{ID: a.ID}
	signed, err := job.Seal(n.parts.Network, a.Msg)
	if err == nil {
		ctx, cancel := context.WithTimeout(life, a.Within)
		defer cancel()
		var raw []byte
		if raw, err = n.parts.Network.Request(ctx, a.To, signed.Raw); err == nil {
			answer.Signed, err = job.Open(n.parts.Network, raw)
		}
		if err == nil && answer.From != a.To {
			answer.Signed, err = job.Signed{}, fmt.Errorf("answered by %s", answer.From.Short())
		}
	}
	if state, ok := answer.Msg.(*job.State); ok {
		for _, raw := range state.Facts {
			fact, err := job.Open(n.parts.Network, raw)
			if err != nil {
				n.log.Debug("fact refused", "from", n.nameOf(a.To), "err", err)
				continue
			}
			if !n.hears(fact) {
				continue
			}
			answer.Facts = append(answer.Facts, fact)
		}
	}
	if err != nil {
		n.log.Debug("no answer", "kind", a.Msg.Kind(), "from", n.nameOf(a.To), "err", err)
	}
	if life.Err() == nil {
		n.post(answer)
	}
}

func (n *Node) reply(id uint64, msg job.Message) {
	reply, ok := n.asked.take(id)
	if !ok { // the peer has gone
		return
	}
	if msg == nil {
		reply <- nil
		return
	}
	signed, err := job.Seal(n.parts.Network, msg)
	if err != nil {
		n.log.Error("answer not sent", "kind", msg.Kind(), "err", err)
	}
	reply <- signed.Raw
}

// replyState fills a State with as many facts as fit.
func (n *Node) replyState(a scheduler.ReplyState) {
	const overhead = 4 << 10 // of the envelope and the encoding
	state := &job.State{}
	size := overhead
	for _, f := range a.Facts {
		raw := f.Raw
		if raw == nil {
			signed, err := job.Seal(n.parts.Network, f.Msg)
			if err != nil {
				n.log.Error("fact not sent", "kind", f.Msg.Kind(), "err", err)
				continue
			}
			raw = signed.Raw
		}
		if size += len(raw) + 8; size > job.MaxState {
			state.More = true
			break
		}
		state.Facts = append(state.Facts, raw)
	}
	n.reply(a.ID, state)
}

// manifestTime bounds the fetch of a manifest, a single block.
const manifestTime = 10 * time.Second

func (n *Node) fetchManifest(a scheduler.FetchManifest) {
	ctx, cancel := context.WithTimeout(n.ctx, manifestTime)
	defer cancel()
	defer n.lookAtStore()
	got := scheduler.ManifestFetched{Job: a.Job}
	block, err := n.parts.Store.Block(ctx, job.CID(a.Job), a.From)
	if err == nil {
		got.Manifest, err = job.DecodeManifest(block)
	}
	if err != nil && n.ctx.Err() == nil {
		n.log.Warn("manifest not fetched", "job", a.Job.Short(), "err", err)
	}
	if err == nil && n.results.has(got.Manifest.Submitter) {
		if keys, err := n.keysOf(ctx, got.Manifest, a.From); err == nil {
			got.Cached = n.reuse(ctx, a.Job, got.Manifest, keys)
		}
	}
	n.post(got)
}
