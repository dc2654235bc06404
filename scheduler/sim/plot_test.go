// SPDX-License-Identifier: MIT

package sim_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
)

// conditions are what goes wrong in the meshes that are measured: the names of
// their columns, and the colors of their lines.
var conditions = []struct {
	crash, slow bool
	name, color string
}{
	{false, false, "no faults", "#1b6ca8"},
	{true, false, "10 % crash", "#c0392b"},
	{false, true, "10 % are 5 x slower than they say", "#d68910"},
	{true, true, "both", "#6c3483"},
}

// published are the figures of a simulation of this design from before it was built:
// what was to be beaten.
var published = []struct {
	nodes       int
	walk, ratio float64
	crash       bool
}{
	{32, 0.002, 1.13, true},
	{32, 0.02, 1.30, false},
	{1000, 0.002, 1.13, false},
	{1000, 0.002, 1.39, true},
}

// results are figures by row.
type results map[row]figure

// table writes the figures as a table of Markdown.
func (all results) table(walks []float64, nodes []int) string {
	var b strings.Builder
	b.WriteString("| walk | nodes | best plan |")
	for _, c := range conditions {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString(" rendered twice | messages | of them Progress | bytes |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, walk := range walks {
		for _, n := range nodes {
			plain, ok := all[row{n, walk, false, false}]
			if !ok {
				continue
			}
			fmt.Fprintf(&b, "| %g %% | %d | %.2f |", 100*walk, n, plain.bound)
			twice := 0.0
			for _, c := range conditions {
				if f, ok := all[row{n, walk, c.crash, c.slow}]; ok {
					fmt.Fprintf(&b, " %.2f (%.2f) |", f.ratio, f.worst)
					twice = max(twice, f.duplicates)
				} else {
					b.WriteString(" |")
				}
			}
			fmt.Fprintf(&b, " %.2f %% | %.0f | %.0f %% | %s |\n", 100*twice, plain.messages, 100*plain.progress/plain.messages, size(plain.bytes))
		}
	}
	return b.String()
}

func size(bytes float64) string {
	if bytes < 1e6 {
		return fmt.Sprintf("%.0f kB", bytes/1e3)
	}
	return fmt.Sprintf("%.1f MB", bytes/1e6)
}

// replaceTable puts a table between the two lines of a page that mark its place.
func replaceTable(page, table string) error {
	const begin, end = "<!-- figures: go test ./scheduler/sim -run Figures -->\n", "<!-- end of figures -->"
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table: %q, %q", page, begin, end)
	}
	return os.WriteFile(page, bytes.Join([][]byte{before, []byte(begin), []byte(table), []byte(end), after}, nil), 0o644)
}

// plot draws makespan over ideal by number of nodes, a panel for each walk.
func (all results) plot(walks []float64, nodes []int) []byte {
	const (
		width, height     = 420, 300 // of a panel
		left, top, bottom = 52, 34, 44
		legend            = 64
		most              = 2.0 // makespan over ideal
	)
	var b bytes.Buffer
	full := len(walks) * (width + 16)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", full, height+legend)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", full, height+legend)
	for panel, walk := range walks {
		origin := panel * (width + 16)
		x := func(n int) float64 {
			low, high := math.Log(float64(nodes[0])), math.Log(float64(nodes[len(nodes)-1]))
			return float64(origin+left) + (math.Log(float64(n))-low)/max(high-low, 1)*(width-left-20)
		}
		y := func(ratio float64) float64 {
			return float64(height-bottom) - (min(ratio, most)-1)/(most-1)*(height-bottom-top)
		}
		text := func(x, y float64, anchor, color, words string) {
			fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, color, words)
		}
		text(float64(origin+left+(width-left-20)/2), 18, "middle", "#222", fmt.Sprintf("makespan over ideal; the walk is %g %% of rendering", 100*walk))
		for tick := 1.0; tick < most+0.01; tick += 0.1 {
			fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e4e4e4"/>`+"\n", origin+left, origin+width-20, y(tick), y(tick))
			text(float64(origin+left-6), y(tick)+4, "end", "#444", fmt.Sprintf("%.1f", tick))
		}
		for _, n := range nodes {
			text(x(n), height-bottom+16, "middle", "#444", fmt.Sprint(n))
		}
		text(float64(origin+left+(width-left-20)/2), height-bottom+34, "middle", "#444", "nodes")
		line := func(style string, value func(figure) float64, r func(int) row) {
			var points []string
			for _, n := range nodes {
				if f, ok := all[r(n)]; ok {
					points = append(points, fmt.Sprintf("%.1f,%.1f", x(n), y(value(f))))
				}
			}
			fmt.Fprintf(&b, `<polyline points="%s" fill="none" %s/>`+"\n", strings.Join(points, " "), style)
		}
		line(`stroke="#888" stroke-dasharray="4 3"`, func(f figure) float64 { return f.bound }, func(n int) row { return row{n, walk, false, false} })
		for _, c := range conditions {
			line(fmt.Sprintf(`stroke="%s" stroke-width="1.8"`, c.color), func(f figure) float64 { return f.ratio }, func(n int) row { return row{n, walk, c.crash, c.slow} })
			for _, n := range nodes {
				if f, ok := all[row{n, walk, c.crash, c.slow}]; ok {
					fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="2.6" fill="%s"/>`+"\n", x(n), y(f.ratio), c.color)
				}
			}
		}
		for _, p := range published {
			if p.walk == walk && p.nodes <= nodes[len(nodes)-1] {
				color := conditions[0].color
				if p.crash {
					color = conditions[1].color
				}
				fmt.Fprintf(&b, `<path d="M%.1f %.1f l5 5 l-5 5 l-5 -5 z" fill="white" stroke="%s" stroke-width="1.5"/>`+"\n", x(p.nodes), y(p.ratio)-5, color)
			}
		}
	}
	at := float64(left)
	entry := func(mark, words string) {
		fmt.Fprintf(&b, `<g transform="translate(%.0f %d)">%s<text x="24" y="4" fill="#222">%s</text></g>`+"\n", at, height+16, mark, words)
		at += 36 + 6.2*float64(len(words))
	}
	for _, c := range conditions {
		entry(fmt.Sprintf(`<line x2="18" stroke="%s" stroke-width="1.8"/>`, c.color), c.name)
	}
	entry(`<line x2="18" stroke="#888" stroke-dasharray="4 3"/>`, "best plan")
	entry(`<path d="M9 -5 l5 5 l-5 5 l-5 -5 z" fill="white" stroke="#444" stroke-width="1.5"/>`, "the simulation of the design")
	b.WriteString("</svg>\n")
	return b.Bytes()
}
