// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"strings"
	"time"

	"meshnode/node"
)

// progress is what a job's events say of how far it is, drawn as a block of
// lines: one bar, then one line per node.
type progress struct {
	title string    // what is shown: what is waited for, the script, or the scene
	begun time.Time // of what the title names
	phase phase

	frames, plays uint32 // in all; while planning, passed so far
	done          uint32
	rate          float64 // frames per second
	checks        uint32  // cells that are yet to be checked
	left          float64 // seconds
	nodes         []node.NodeFrames

	scenes []string             // of a job of several; nil: there is one
	parts  map[string]*progress // of each scene that has begun
	ended  int                  // scenes
}

// phase is the part of a job's life that the block shows.
type phase int

const (
	waiting phase = iota // for a node to start
	planning
	rendering
	assembling
)

// begin changes the phase and what it is of.
func (p *progress) begin(ph phase, title string, now time.Time) {
	if p.phase != ph || p.title != title {
		p.begun = now
	}
	p.phase, p.title = ph, title
}

// apply takes one event into account.
func (p *progress) apply(e node.Event, now time.Time) {
	if e.Scene != "" {
		p.applyScene(e, now)
		return
	}
	switch e.Event {
	case "scenes":
		p.scenes, p.parts = e.Scenes, make(map[string]*progress)
		p.frames, p.plays = 0, 0
	case "planning":
		p.begin(planning, p.title, now)
		p.frames, p.plays = e.Frames, e.Plays
	case "planned":
		p.begin(rendering, e.Name, now)
		p.frames, p.plays = e.Frames, e.Plays
	case "progress":
		p.begin(rendering, p.title, now)
		p.done, p.rate, p.left, p.nodes, p.checks = e.Done, e.Rate, e.Seconds, e.Nodes, e.Checks
		if e.Frames > 0 {
			p.frames = e.Frames
		}
	case "assembling":
		p.begin(assembling, p.title, now)
		p.done = p.frames
	}
}

// applyScene takes an event of one of several scenes into account.
func (p *progress) applyScene(e node.Event, now time.Time) {
	part := p.parts[e.Scene]
	if part == nil {
		if p.parts == nil {
			p.parts = make(map[string]*progress)
		}
		part = &progress{phase: planning}
		p.parts[e.Scene] = part
	}
	switch e.Event {
	case "rendered":
		p.ended++
		part.begin(assembling, "", now)
		part.done, part.rate, part.left, part.nodes = part.frames, 0, 0, e.Nodes
	case "unrendered":
		p.ended++
		part.begin(assembling, "", now)
		part.frames, part.done, part.rate, part.left, part.nodes = 0, 0, 0, 0, nil
	default:
		e.Scene = ""
		part.apply(e, now)
	}
	p.add(now)
}

// add makes one of what is known of several scenes.
func (p *progress) add(now time.Time) {
	p.frames, p.plays, p.done, p.rate, p.left, p.nodes = 0, 0, 0, 0, 0, nil
	phase := planning
	for _, name := range p.scenes {
		part := p.parts[name]
		if part == nil || part.phase < rendering {
			continue
		}
		phase = rendering
		p.frames, p.plays, p.done, p.rate = p.frames+part.frames, p.plays+part.plays, p.done+part.done, p.rate+part.rate
		for _, n := range part.nodes {
			p.addNode(n, part.phase == rendering)
		}
	}
	if p.rate > 0 {
		p.left = float64(p.frames-min(p.done, p.frames)) / p.rate
	}
	p.begin(phase, p.title, now)
}

// addNode adds a node's part in one scene to its part in all.
func (p *progress) addNode(n node.NodeFrames, running bool) {
	if !running {
		n.Held, n.Rate, n.State = 0, 0, "done"
	}
	for i := range p.nodes {
		if have := &p.nodes[i]; have.Peer == n.Peer {
			have.Frames, have.Held, have.Rate = have.Frames+n.Frames, have.Held+n.Held, have.Rate+n.Rate
			if n.State == "rendering" || have.State == "" {
				have.State = n.State
			}
			return
		}
	}
	p.nodes = append(p.nodes, n)
}

// Columns of the block's parts.
const (
	minBar   = 10
	maxBar   = 40
	minName  = 8
	maxName  = 24
	maxNodes = 16 // lines; the rest are summed up in one
)

// lines draws the block, at most width columns wide.
func (p *progress) lines(width int, now time.Time, s style) []string {
	elapsed := clock(now.Sub(p.begun))
	switch p.phase {
	case waiting:
		return []string{fmt.Sprintf("%s  %s", oneLine(p.title), s.paint("2", elapsed))}
	case planning:
		what := "planning " + oneLine(p.title)
		if p.frames > 0 {
			what += fmt.Sprintf(": %s in %s", count(p.frames, "frame"), count(p.plays, "play"))
		}
		return []string{fmt.Sprintf("%s  %s", what, s.paint("2", elapsed))}
	case assembling:
		return []string{p.bar(width, "assembling", s)}
	}
	text := fmt.Sprintf("%d/%s", p.done, count(p.frames, "frame"))
	if len(p.scenes) > 0 {
		text = fmt.Sprintf("%d/%s  %s", p.ended, count(len(p.scenes), "scene"), text)
	}
	if p.rate > 0 {
		text += fmt.Sprintf("  %.1f/s", p.rate)
	}
	if p.left > 0 {
		text += "  " + clock(seconds(p.left)) + " left"
	} else if p.checks > 0 && p.done == p.frames {
		text += "  checking " + count(p.checks, "cell")
	}
	return append([]string{p.bar(width, text, s)}, p.nodeLines(s)...)
}

// bar returns the line of the whole job: how much is done, as a number, as a
// bar where there is room, and in words.
func (p *progress) bar(width int, text string, s style) string {
	part := 0.0
	if p.frames > 0 {
		part = min(1, float64(p.done)/float64(p.frames))
	}
	percent := fmt.Sprintf("%3.0f%%", 100*part)
	if part < 1 && percent == "100%" {
		percent = " 99%"
	}
	room := min(maxBar, width-1-len(percent)-len(text)-4)
	if room < minBar {
		return fmt.Sprintf("%s  %s", percent, text)
	}
	full, rest := filled(part, room, s.unicode)
	return fmt.Sprintf("%s  %s%s  %s", percent, s.paint("32", full), s.paint("2", rest), text)
}

// filled returns the full and the empty part of a bar of so many columns.
func filled(part float64, columns int, unicode bool) (full, rest string) {
	if !unicode {
		n := int(part * float64(columns))
		return strings.Repeat("#", n), strings.Repeat("-", columns-n)
	}
	eighths := int(part * float64(columns) * 8)
	full = strings.Repeat("█", eighths/8)
	used := eighths / 8
	if e := eighths % 8; e > 0 {
		full += string([]rune("▏▎▍▌▋▊▉")[e-1])
		used++
	}
	return full, strings.Repeat("░", columns-used)
}

// nodeLines returns one line per node: name, frames, rate, state.
func (p *progress) nodeLines(s style) []string {
	names, longest := make([]string, len(p.nodes)), minName
	for i, n := range p.nodes {
		names[i] = nodeName(n)
		_, columns := cut(names[i], maxName)
		longest = max(longest, columns)
	}
	var lines []string
	for i, n := range p.nodes {
		if i == maxNodes-1 && len(p.nodes) > maxNodes {
			return append(lines, othersLine(p.nodes[i:], longest))
		}
		line := fmt.Sprintf("  %s  %6d", fit(names[i], longest), n.Frames)
		if n.Rate > 0 {
			line += fmt.Sprintf("  %6.1f/s", n.Rate)
		} else {
			line += strings.Repeat(" ", 10)
		}
		if n.State != "" {
			line += "  " + s.paint("2", oneLine(n.State))
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}

func othersLine(nodes []node.NodeFrames, columns int) string {
	var frames uint32
	var rate float64
	for _, n := range nodes {
		frames += n.Frames
		rate += n.Rate
	}
	return fmt.Sprintf("  %s  %6d  %6.1f/s", fit(fmt.Sprintf("%d more", len(nodes)), columns), frames, rate)
}

// nodeName is a node's name for people, or its short id when it has none.
func nodeName(n node.NodeFrames) string {
	name := oneLine(n.Name)
	if name == "" {
		name = oneLine(n.Peer.Short())
	}
	if n.Self {
		name += " (here)"
	}
	return name
}

// plannedText describes a planned job in one line.
func plannedText(e node.Event) string {
	if e.Frames == 0 {
		return fmt.Sprintf("%s: a still, %dx%d, rendered here", oneLine(e.Name), e.Width, e.Height)
	}
	text := fmt.Sprintf("%s: %s in %s, %dx%d at %g fps, %s", oneLine(e.Name), count(e.Frames, "frame"),
		count(e.Plays, "play"), e.Width, e.Height, e.FPS, count(e.Cells, "cell"))
	if e.Kept > 0 {
		text += fmt.Sprintf(", %d of them rendered before", e.Kept)
	}
	if e.Job != "" {
		text += ", job " + e.Job.Short()
	}
	return text
}

// estimateText says how long a job would take.
func estimateText(estimates []node.Estimate) string {
	var parts []string
	for _, e := range estimates {
		where := "on one computer"
		if e.Nodes > 1 {
			where = "on " + count(e.Nodes, "computer")
		}
		parts = append(parts, fmt.Sprintf("%s %s", clock(seconds(max(e.Seconds, 1))), where))
	}
	return "about " + strings.Join(parts, ", ")
}

// finishedText says how long a job took and who rendered how much of it.
func finishedText(p *progress, nodes []node.NodeFrames, took time.Duration) string {
	text := fmt.Sprintf("%s in %.1f s", count(p.frames, "frame"), took.Seconds())
	var parts []string
	for _, n := range nodes {
		if n.Frames > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", nodeName(n), n.Frames))
		}
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}
