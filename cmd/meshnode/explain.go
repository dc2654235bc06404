// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/node"
)

func explainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "tell what a scene costs, and how many nodes would pay",
		ArgsUsage: "FILE [SCENE] [options of publish]",
		Description: "Plans the scene and draws samples of it, on this computer alone, for about ten\n" +
			"seconds at most. Nothing is sent to other nodes, and no film is written.\n\n" +
			"  meshnode explain scene.py SineCurve -qh\n" +
			"  meshnode explain scene.py SineCurve -qh --json",
		SkipFlagParsing: true,
		HideHelp:        true,
		Action: func(c *cli.Context) error {
			in, err := split(c.Args().Slice())
			if err != nil {
				return err
			}
			if in.help {
				return cli.ShowSubcommandHelp(c)
			}
			return explain(c, in)
		},
	}
}

func explain(c *cli.Context, in *invocation) error {
	begun := time.Now()
	home, req, err := requestOf(c, in)
	if err != nil {
		return err
	}
	report := &explainer{reporter: &jsonReporter{out: io.Discard}}
	if !in.json {
		r := newReporter(c, in, begun).(*textReporter)
		r.out, r.shared = r.err, true // the scene's own words are not the result
		report.reporter = r
	}
	defer report.end()
	if err := submit(c.Context, (*api.Client).Explain, report, in, home, req); err != nil {
		return err
	}
	report.end()
	switch {
	case report.found == nil:
		return errors.New("the node explains nothing: it is of another version: end it and start it again")
	case in.json:
		return printJSON(c.App.Writer, report.found)
	}
	printExplanation(c.App.Writer, report.found)
	return nil
}

// explainer is a reporter that keeps what was found.
type explainer struct {
	reporter
	found *node.Explanation
}

func (r *explainer) event(e node.Event) {
	switch e.Event {
	case "explained":
		r.found = e.Explanation
	case "sampling":
		r.waiting("drawing samples of " + oneLine(e.Name))
	default:
		r.reporter.event(e)
	}
}

// maxPlays is how many plays a table shows: those that cost most.
const maxPlays = 40

func printExplanation(w io.Writer, e *node.Explanation) {
	if e.Frames == 0 {
		fmt.Fprintf(w, "%s: nothing to share: it is a still, or all of its plays are in Manim's cache (--disable_caching renders them again)\n", oneLine(e.Name))
		return
	}
	fmt.Fprintf(w, "%s: %s in %s, %dx%d at %g fps, %s. CPU seconds, by %d frames drawn:\n\n", oneLine(e.Name),
		count(e.Frames, "frame"), count(len(e.Plays), "play"), e.Width, e.Height, e.FPS, count(e.Cells, "cell"), e.Drawn)
	printPlays(w, e)
	fmt.Fprintln(w)
	printForecast(w, e)
	fmt.Fprintln(w)
	fmt.Fprintln(w, limitsText(e))
	fmt.Fprintln(w, enoughText(e))
}

// costOf is what a play takes of one core.
func costOf(p node.PlayCost) float64 { return p.Walk + p.Outlines + p.Raster + p.Encode }

func printPlays(w io.Writer, e *node.Explanation) {
	const head, row = "%4s  %s  %7s  %7s  %7s  %7s  %7s  %7s\n", "%4s  %s  %7d  %7.2f  %7.2f  %7.2f  %7.2f  %7.2f\n"
	fmt.Fprintf(w, head, "PLAY", fit("WHAT", maxName), "FRAMES", "WALK", "TEX", "RASTER", "ENCODE", "TOTAL")
	line := func(number, what string, p node.PlayCost) {
		fmt.Fprintf(w, row, number, fit(what, maxName), p.Frames, p.Walk, p.Outlines, p.Raster, p.Encode, costOf(p))
	}
	order := make([]int, len(e.Plays))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(costOf(e.Plays[b]), costOf(e.Plays[a])) })
	shown := order[:min(len(order), maxPlays)]
	slices.Sort(shown)
	var rest node.PlayCost
	for _, i := range order[len(shown):] {
		add(&rest, e.Plays[i])
	}
	for _, i := range shown {
		what := oneLine(e.Plays[i].Name)
		if e.Plays[i].Drawn == 0 && e.Plays[i].Frames > 0 {
			what = "~ " + what
		}
		line(fmt.Sprint(i), what, e.Plays[i])
	}
	if n := len(order) - len(shown); n > 0 {
		line("", fmt.Sprintf("%d more", n), rest)
	}
	line("", "all", node.PlayCost{Frames: e.Frames, Walk: e.Walk, Outlines: e.Outlines, Raster: e.Raster, Encode: e.Encode})
	if slices.ContainsFunc(e.Plays, func(p node.PlayCost) bool { return p.Drawn == 0 && p.Frames > 0 }) {
		fmt.Fprintln(w, "~ not drawn: taken to cost what the others do")
	}
}

func add(to *node.PlayCost, p node.PlayCost) {
	to.Frames += p.Frames
	to.Walk += p.Walk
	to.Outlines += p.Outlines
	to.Raster += p.Raster
	to.Encode += p.Encode
}

// printForecast shows the nodes up to the first that does not pay, and some
// beyond.
func printForecast(w io.Writer, e *node.Explanation) {
	var nodes, times strings.Builder
	for _, f := range e.Forecast {
		if n := f.Nodes; n <= e.Enough+1 || n == 4 || n == 8 || n == 16 {
			fmt.Fprintf(&nodes, "%7d", n)
			fmt.Fprintf(&times, "%7.1f", f.Seconds)
		}
	}
	fmt.Fprintf(w, "%s%s\n%s%s\n", fit(fmt.Sprintf("NODES OF %d", e.Slots), 12), &nodes, fit("SECONDS", 12), &times)
}

// limitsText says what keeps more nodes from being quicker, the most first.
func limitsText(e *node.Explanation) string {
	plan := e.Walk + e.Outlines
	type limit struct {
		seconds float64
		text    string
	}
	limits := []limit{
		{plan, fmt.Sprintf("the plan, before which nothing is shared, %.1f s (walk %.1f s, TeX and text %.1f s)", plan, e.Walk, e.Outlines)},
		{e.Walk * (1 - 1/float64(e.Enough+1)), fmt.Sprintf("the walk of each node to its part, up to %.1f s (walking is %.0f %% of all work)", e.Walk, 100*e.Walk/(e.Walk+e.Raster+e.Encode))},
		{e.Longest, fmt.Sprintf("the longest cell, which one core draws, %.1f s", e.Longest)},
	}
	slices.SortStableFunc(limits, func(a, b limit) int { return cmp.Compare(b.seconds, a.seconds) })
	texts := make([]string, len(limits))
	for i, l := range limits {
		texts[i] = l.text
	}
	return "What limits the gain: " + strings.Join(texts, "; ") + "."
}

func enoughText(e *node.Explanation) string {
	if e.Enough >= len(e.Forecast) {
		return fmt.Sprintf("Each of %d nodes like this one pays.", e.Enough)
	}
	return fmt.Sprintf("%s like this one: another saves less than 5 %%.", count(e.Enough, "node"))
}
