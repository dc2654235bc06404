// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"meshnode/renderer"
)

// scenesAtOnce is how many scenes of one request are jobs at a time: each holds
// an engine here until its film is ready, and other nodes take eight open jobs
// of a submitter.
const scenesAtOnce = 4

// Publish renders what a request is about: one scene, or several, each of which
// is a job of its own. It tells emit what happens, one event at a time, last
// "finished" or "failed", and returns then. Ending ctx cancels all of it on every
// node.
func (n *Node) Publish(ctx context.Context, req PublishRequest, emit func(Event)) {
	if len(req.Scenes) > 1 {
		emit(n.batch(ctx, req, req.Scenes, emit))
		return
	}
	if len(req.Scenes) == 1 {
		req.scene = req.Scenes[0]
	}
	last, err := n.job(ctx, req, emit)
	var several *renderer.ScenesError
	switch {
	case errors.As(err, &several) && several.Choose:
		last.Kind, last.Scenes = FailedChoice, several.Scenes
		last.Text = fmt.Sprintf("the script has %d scenes: name one, or give --write_all for all: %s", len(several.Scenes), strings.Join(several.Scenes, ", "))
	case errors.As(err, &several):
		last = n.batch(ctx, req, several.Scenes, emit)
	}
	emit(last)
}

// batch renders several scenes and returns the last event. A scene that fails
// does not keep the others from being rendered.
func (n *Node) batch(ctx context.Context, req PublishRequest, scenes []string, emit func(Event)) Event {
	emit(Event{Event: "scenes", Scenes: scenes})
	var mu sync.Mutex // guards emit and results
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
			var lines []Event // of the renderer: those of one scene stay together
			one := req
			one.scene = scene
			last, _ := n.job(ctx, one, func(e Event) {
				e.Scene = scene
				if e.Event == "log" {
					lines = append(lines, e)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				emit(e)
			})
			last.Scene = scene
			mu.Lock()
			defer mu.Unlock()
			results[scene] = last
			for _, line := range lines {
				emit(line)
			}
			last.Event = map[string]string{"finished": "rendered", "failed": "unrendered"}[last.Event]
			emit(last)
		})
	}
	jobs.Wait()
	return sum(ctx, scenes, results)
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
