// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// printable returns text without what a terminal would obey: names, reasons and
// notes come from other computers. Lines and tabs stay.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// oneLine is printable text for a table or a bar.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, printable(text))
}

// withoutRoom returns an error's text without the name of the package that it
// comes from, which serves programmers.
func withoutRoom(text string) string {
	text = strings.TrimSpace(text)
	for _, room := range []string{"api", "blockstore", "environment", "job", "manim", "node", "p2p", "renderer", "sandbox", "scheduler"} {
		if rest, ok := strings.CutPrefix(text, room+": "); ok {
			return rest
		}
	}
	return text
}

// count returns "1 frame" or "2 frames".
func count[N int | uint32](n N, noun string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// clock returns a span as 0:07 or 1:02:03.
func clock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// seconds turns a float of the API, which may be anything, into a span.
func seconds(s float64) time.Duration {
	const most = 1000 * 3600
	if !(s > 0) {
		return 0
	}
	return time.Duration(min(s, most) * float64(time.Second))
}

// bytesText returns a size with three digits: "1.2 GB".
func bytesText(n uint64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.5 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	if value < 9.95 {
		return fmt.Sprintf("%.1f %cB", value, units[unit])
	}
	return fmt.Sprintf("%.0f %cB", value, units[unit])
}

// closest returns the candidate that word is most likely a slip of, or "".
func closest(word string, candidates []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", len(word)/3+1
	for _, c := range candidates {
		if d := distance(word, c); d <= least && len(c) > 1 {
			if d < least || best == "" {
				best, least = c, d
			}
		}
	}
	return best
}

// distance is the number of insertions, deletions and replacements of bytes
// between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
