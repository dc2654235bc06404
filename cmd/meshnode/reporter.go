// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"meshnode/node"
)

// reporter tells the user, or his program, how a job goes. One goroutine uses
// it.
type reporter interface {
	// waiting says what the command waits for before there are events.
	waiting(text string)
	// event tells of one event of the job.
	event(node.Event)
	// note is a line from the command itself.
	note(text string)
	// tick lets a bar show that time passes.
	tick()
	// end takes the bar away, if it is still there.
	end()
}

// jsonReporter prints one event a line, and nothing else.
type jsonReporter struct {
	out   io.Writer
	ended bool // the last event is printed
}

func (r *jsonReporter) event(e node.Event) {
	r.ended = r.ended || e.Event == "finished" || e.Event == "failed"
	_ = printJSON(r.out, e)
}

func (r *jsonReporter) note(text string) { r.event(node.Event{Event: "note", Text: text}) }
func (r *jsonReporter) waiting(string)   {}
func (r *jsonReporter) tick()            {}
func (r *jsonReporter) end()             {}

// textReporter prints the renderer's lines to out, as the renderer itself would,
// and meshnode's own lines and the bar to err.
type textReporter struct {
	out, err io.Writer
	screen   *screen // the terminal behind err; nil: no bar
	shared   bool    // out is the same terminal
	style    style
	leave    bool // the bar stays when the job has finished
	now      func() time.Time

	script string
	dryRun bool
	start  time.Time // of the command
	state  progress
	drawn  time.Time
}

// redraw is how often the block is drawn when nothing happens.
const redraw = time.Second

func (r *textReporter) waiting(text string) {
	if r.state.phase != waiting || r.state.title != text {
		r.state.begin(waiting, text, r.now())
		r.draw()
		return
	}
	r.tick()
}

// plan says that the job is being planned, before the node has said anything.
func (r *textReporter) plan() {
	r.state.begin(planning, r.script, r.now())
	r.draw()
}

func (r *textReporter) event(e node.Event) {
	if r.state.phase == waiting {
		r.plan()
	}
	r.state.apply(e, r.now())
	switch e.Event {
	case "log":
		r.log(strings.TrimSuffix(e.Text, "\n"))
	case "note":
		r.note(e.Text)
	case "planned":
		r.planned(e)
	case "unrendered":
		r.unrendered(e)
	case "finished":
		r.finish(e)
	case "failed":
		r.end()
	default:
		r.draw()
	}
}

// planned describes the job: on a terminal, or where that was asked for.
func (r *textReporter) planned(e node.Event) {
	switch {
	case r.dryRun:
		r.log(plannedText(e))
		if len(e.Estimates) > 0 {
			r.log(estimateText(e.Estimates))
		}
	case r.screen != nil:
		r.screen.print(plannedText(e))
	}
	r.draw()
}

// unrendered says why one of several scenes has no film, as is said of a single
// one.
func (r *textReporter) unrendered(e node.Event) {
	text := strings.TrimRight(e.Text, "\n")
	if e.Kind != node.FailedScene {
		text = "meshnode: " + oneLine(e.Scene) + ": " + printable(withoutRoom(text))
	}
	if r.screen != nil {
		r.screen.print(text)
		return
	}
	fmt.Fprintln(r.err, text)
}

func (r *textReporter) finish(e node.Event) {
	if r.screen == nil {
		return
	}
	if r.leave {
		r.draw()
		r.screen.keep()
	}
	r.end()
	if r.state.frames > 0 && !r.dryRun {
		fmt.Fprintln(r.err, finishedText(&r.state, e.Nodes, r.now().Sub(r.start)))
	}
}

// log prints a line of the renderer's.
func (r *textReporter) log(line string) {
	if r.screen != nil && r.shared {
		r.screen.print(line)
		return
	}
	fmt.Fprintln(r.out, line)
}

func (r *textReporter) note(text string) {
	text = "meshnode: " + printable(withoutRoom(text))
	if r.screen != nil {
		r.screen.print(text)
		return
	}
	fmt.Fprintln(r.err, text)
}

func (r *textReporter) tick() {
	if r.now().Sub(r.drawn) >= redraw {
		r.draw()
	}
}

func (r *textReporter) end() {
	if r.screen != nil {
		r.screen.clear()
	}
}

func (r *textReporter) draw() {
	if r.screen == nil {
		return
	}
	r.drawn = r.now()
	width, _ := r.screen.size()
	r.screen.draw(r.state.lines(width, r.drawn, r.style))
}
