// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"strings"
	"time"

	"meshnode/renderer"
	"meshnode/scheduler"
)

// rewalkTime bounds a second walk: a fixed part, and the first walk's time many
// times over, as it runs beside the rendering.
func rewalkTime(walk float64) time.Duration {
	const factor = 20
	return 5*time.Minute + time.Duration(factor*walk*float64(time.Second))
}

// rewalk has the engine that planned a job walk its scene once more.
func (n *Node) rewalk(a scheduler.Rewalk) {
	w := n.workOn(a.Job)
	w.tasks.Go(func() {
		engine, err := n.engineOf(w.ctx, w)
		if err == nil {
			ctx, cancel := context.WithTimeout(w.ctx, rewalkTime(w.man.Walk))
			defer cancel()
			err = engine.Check(ctx)
		}
		found := scheduler.Rewalked{Job: a.Job}
		switch {
		case w.ctx.Err() != nil: // the job is over
			return
		case errors.Is(err, renderer.ErrDiverged):
			found.Differs, _, _ = strings.Cut(reasonOf(err), "\n")
		case err != nil:
			n.log.Warn("no second walk", "job", a.Job.Short(), "err", err)
		default:
			n.log.Info("a second walk is like the plan", "job", a.Job.Short())
		}
		n.post(found)
	})
}

// aloneError ends the distribution of a job whose scene only one walk can render.
type aloneError struct{ reason string }

func (e *aloneError) Error() string { return e.reason }

// stateAlone is the state of a publication that the mesh does not know any more.
const stateAlone = "alone"

// planAlone plans a scene again in a new engine, which draws it on the way: one
// walk, as the program itself would make it.
func (n *Node) planAlone(ctx context.Context, p *publication, req PublishRequest, why *aloneError) ([]NodeFrames, error) {
	p.emit(Event{Event: "note", Text: why.reason + ": this node renders it alone, from its start"})
	n.mu.Lock()
	p.state = stateAlone
	s := p.stream
	p.stream = nil
	n.mu.Unlock()
	if s != nil { // what was to be watched was of another film
		s.end()
	}
	plan, err := n.walk(ctx, p, req, p.man.Need.Fingerprint, true)
	if err != nil {
		return nil, err
	}
	frames := uint32(0)
	for _, play := range plan.Plays {
		frames += play.Frames
	}
	return []NodeFrames{{Peer: n.self, Name: n.nameOf(n.self), Self: true, Frames: frames}}, nil
}
