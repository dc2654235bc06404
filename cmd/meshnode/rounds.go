// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/node"
)

// rounds is a publish --watch: one round for each film, or for what kept it from
// being made.
type rounds struct {
	c         *cli.Context
	in        *invocation
	home      string
	req       node.PublishRequest
	client    *api.Client
	files     *lookout
	projector *projector // nil: the films are not shown, or by the renderer
	hold      io.Closer  // keeps a node that was started for clients; nil: none does
}

// publishAgain renders a scene, and again when a file of it has changed, until ctx
// ends. That is how it is meant to end, so it is no error.
func publishAgain(c *cli.Context, in *invocation) error {
	home, req, err := requestOf(c, in)
	if err != nil {
		return err
	}
	req.Watch = true
	r := &rounds{c: c, in: in, home: home, req: req, client: api.NewClient(home), files: newLookout(settingsOf(in, req.Dir)...)}
	if in.preview && !in.opener && !in.json && !in.all && len(in.scenes) < 2 {
		if p, err := choosePlayer(""); err == nil {
			r.projector = &projector{player: p}
			defer r.projector.leave()
		}
	}
	r.req.Shown = r.projector != nil // else the renderer opens the first one
	defer r.letGo()
	for number := 1; ; number++ {
		changed, err := r.round(number)
		if err != nil && c.Context.Err() == nil {
			return err
		}
		if len(changed) == 0 {
			changed = r.files.wait(c.Context)
		}
		if c.Context.Err() != nil {
			return nil
		}
		in.again = true
		r.tell(changedEvent{"changed", changed}, changedText(changed))
	}
}

// settingsOf returns the script, and the files that Manim reads before it.
func settingsOf(in *invocation, dir string) []string {
	files := append([]string{in.script, "manim.cfg"}, in.settings...)
	for i, name := range files {
		if !filepath.IsAbs(name) {
			files[i] = filepath.Join(dir, name)
		}
	}
	return files
}

// round makes one film. It returns the files whose change has ended it, or an error
// that another round cannot be expected to be without.
func (r *rounds) round(number int) (changed []string, err error) {
	begun := time.Now()
	r.files.begin()
	r.req.Ticket = node.NewTicket()
	ctx, end := context.WithCancel(r.c.Context)
	defer end()
	looking := make(chan []string, 1)
	go func() { looking <- r.giveUp(ctx) }() // ends with ctx

	report := newReporter(r.c, r.in, begun)
	if number == 1 {
		for _, text := range r.in.notes {
			report.note(text)
		}
	}
	var last node.Event
	publish := func(client *api.Client, ctx context.Context, req node.PublishRequest, on func(node.Event)) error {
		return client.Publish(ctx, req, func(e node.Event) {
			if e.Event == "read" {
				r.files.add(e.Paths)
				return
			}
			if e.Seed != nil && r.req.Seed == nil && e.Scene == "" { // else what is random would change with the script
				r.req.Seed = e.Seed
			}
			last = e
			on(e)
		})
	}
	err = submitChosen(r.c, ctx, publish, report, r.in, r.home, &r.req)
	r.keepNode()
	end()
	changed = <-looking
	usage := (*usageError)(nil)
	switch {
	case err == nil:
		r.req.Shown = !r.in.opener
		if r.projector == nil || last.File == "" { // of several
			break
		}
		if err := r.projector.show(last.File); err != nil {
			report.note(err.Error())
		}
	case len(changed) > 0 && last.Kind == node.FailedCanceled: // because of that
		return changed, nil
	case last.Event != "failed", last.Kind == node.FailedStopped, number == 1 && errors.As(err, &usage):
		if j, ok := report.(*jsonReporter); ok && !j.ended && r.c.Context.Err() == nil {
			j.event(node.Event{Event: "failed", Kind: node.FailedRender, Text: err.Error()})
		}
		return nil, err
	default:
		r.files.expect()
		if !r.in.json {
			complain(r.c.App.ErrWriter, err)
		}
	}
	watched := r.files.count()
	r.tell(watchingEvent{"watching", number, watched, float64(time.Since(begun).Milliseconds()) / 1000},
		fmt.Sprintf("watching %s: a change renders again, Ctrl-C ends", count(watched, "file")))
	return changed, nil
}

// giveUp waits for a change while a film is made, and cancels it then. It returns the
// files that have changed, none when ctx ends before that.
func (r *rounds) giveUp(ctx context.Context) []string {
	changed := r.files.wait(ctx)
	for len(changed) > 0 && ctx.Err() == nil {
		if r.client.Cancel(ctx, r.req.Ticket) == nil {
			break
		}
		pause(ctx, lookEvery) // the node has not taken it yet, or it is over already
	}
	return changed
}

// keepNode keeps a node that was started for clients from ending before the next
// round.
func (r *rounds) keepNode() {
	if r.c.Context.Err() != nil {
		return
	}
	hold, err := r.client.Hold(r.c.Context)
	if err != nil {
		return // the next round starts another
	}
	r.letGo()
	r.hold = hold
}

// letGo is the end of keepNode.
func (r *rounds) letGo() {
	if r.hold != nil {
		r.hold.Close()
	}
}

// changedEvent and watchingEvent are this command's own events, for programs.
type changedEvent struct {
	Event string   `json:"event"`
	Files []string `json:"files"`
}

type watchingEvent struct {
	Event   string  `json:"event"`
	Round   int     `json:"round"`
	Files   int     `json:"watched"`
	Seconds float64 `json:"seconds"` // that the round took
}

// tell says something between two rounds: to programs the event, to people the text.
func (r *rounds) tell(event any, text string) {
	if r.in.json {
		_ = printJSON(r.c.App.Writer, event)
		return
	}
	fmt.Fprintf(r.c.App.ErrWriter, "meshnode: %s\n", printable(text))
}

// changedText words which files have changed.
func changedText(paths []string) string {
	const shown = 3
	var names []string
	for _, path := range paths[:min(len(paths), shown)] {
		names = append(names, filepath.Base(path))
	}
	text := strings.Join(names, ", ")
	if more := len(paths) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return oneLine(text) + map[bool]string{true: " has", false: " have"}[len(paths) == 1] + " changed: rendering again"
}
