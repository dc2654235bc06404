// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// scenesAtOnce is how many scenes of one request are jobs at a time: each holds
// an engine here until its film is ready, and other nodes take eight open jobs
// of a submitter.
const scenesAtOnce = 4

// batch renders several scenes and returns the last event. A scene that fails
// does not keep the others from being rendered.
func (n *Node) batch(ctx context.Context, r *request, scenes []string) Event {
	r.tell(Event{Event: "scenes", Scenes: scenes})
	var mu sync.Mutex // guards results, and keeps the last lines of a scene together
	results := make(map[string]Event)
	var jobs sync.WaitGroup
	turns := make(chan struct{}, scenesAtOnce)
	for _, scene := range scenes {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		jobs.Go(func() {
			defer func() { <-turns }()
			var ownMu sync.Mutex // guards lines
			var lines []Event    // of the renderer: those of one scene stay together
			last, _ := n.scene(ctx, r, scene, false, func(e Event) {
				e.Scene = scene
				if e.Event != "log" {
					r.tell(e)
					return
				}
				ownMu.Lock()
				defer ownMu.Unlock()
				lines = append(lines, e)
			})
			if last.Kind == FailedStopped {
				return
			}
			last.Scene = scene
			mu.Lock()
			defer mu.Unlock()
			results[scene] = last
			for _, line := range lines {
				r.tell(line)
			}
			last.Event = map[string]string{"finished": "rendered", "failed": "unrendered"}[last.Event]
			r.tell(last)
		})
	}
	jobs.Wait()
	if context.Cause(ctx) == errStopping && !r.DryRun {
		return stopped
	}
	last := sum(ctx, scenes, results)
	if !r.DryRun {
		n.remember(nil, ending{Ticket: r.Ticket, Last: last})
	}
	return last
}

// sum makes one last event of those of several scenes.
func sum(ctx context.Context, scenes []string, results map[string]Event) Event {
	last := Event{Event: "finished"}
	var failed []string
	for _, scene := range scenes {
		r, ok := results[scene]
		if !ok || r.Event != "finished" {
			failed = append(failed, scene)
			if last.Kind == "" && r.Kind == FailedUsage {
				last.Kind = FailedUsage
			} else if r.Kind != FailedUsage {
				last.Kind = FailedRender
			}
			continue
		}
		last.Files = append(last.Files, r.File)
		for _, f := range r.Nodes {
			at := slices.IndexFunc(last.Nodes, func(have NodeFrames) bool { return have.Peer == f.Peer })
			if at < 0 {
				last.Nodes = append(last.Nodes, f)
			} else {
				last.Nodes[at].Frames += f.Frames
			}
		}
	}
	if len(failed) > 0 {
		last.Event = "failed"
		last.Text = fmt.Sprintf("%d of %d scenes were not rendered: %s", len(failed), len(scenes), strings.Join(failed, ", "))
	}
	if ctx.Err() != nil {
		last.Event, last.Kind, last.Text = "failed", FailedCanceled, "canceled"
	}
	return last
}
