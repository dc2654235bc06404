// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// screen keeps a block of lines at the bottom of a terminal and rewrites it in
// place; everything else is printed above it. The cursor rests in the first
// column below the block. Not safe for concurrent use.
type screen struct {
	out   io.Writer
	size  func() (width, height int)
	block []string
	drawn []int // the block's lines on the terminal: columns of each
}

// draw replaces the block. Lines are cut to the terminal's width, and the block
// to its height.
func (s *screen) draw(block []string) {
	s.block = block
	s.write("")
}

// print writes lines above the block.
func (s *screen) print(text string) { s.write(text + "\n") }

// clear removes the block.
func (s *screen) clear() {
	if len(s.block) > 0 {
		s.draw(nil)
	}
}

// keep leaves the block where it is: what comes next is printed below it.
func (s *screen) keep() { s.block, s.drawn = nil, nil }

// write does everything in one piece, so that nothing flickers.
func (s *screen) write(above string) {
	width, height := s.size()
	var b bytes.Buffer
	s.home(&b, width)
	if above != "" {
		b.WriteString("\x1b[J")
		b.WriteString(above)
	}
	s.drawn = s.drawn[:0]
	b.WriteString("\x1b[?7l") // no wrapping, should the terminal shrink just now
	for _, line := range s.block[:min(len(s.block), max(1, height-2))] {
		line, columns := cut(line, width-1)
		b.WriteString(line)
		b.WriteString("\x1b[K\n")
		s.drawn = append(s.drawn, columns)
	}
	b.WriteString("\x1b[?7h\x1b[J")
	_, _ = s.out.Write(b.Bytes())
}

// home moves the cursor to the block's first line. A terminal that has become
// narrower since has broken the long ones in two.
func (s *screen) home(b *bytes.Buffer, width int) {
	rows := 0
	for _, columns := range s.drawn {
		rows += max(1, (columns+width-1)/width)
	}
	if rows > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r", rows)
	}
}

// cut returns the first columns of a line, without the rest's text but with its
// colors, and how many columns that takes.
func cut(line string, most int) (string, int) {
	var b strings.Builder
	columns := 0
	for line != "" {
		if n := escapeLength(line); n > 0 {
			b.WriteString(line[:n])
			line = line[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(line)
		if w := runeColumns(r); columns+w <= most {
			b.WriteString(line[:n])
			columns += w
		} else {
			most = columns // nothing narrower may follow either
		}
		line = line[n:]
	}
	return b.String(), columns
}

// escapeLength returns the length of the color code with which line begins.
func escapeLength(line string) int {
	if !strings.HasPrefix(line, "\x1b[") {
		return 0
	}
	return strings.IndexByte(line, 'm') + 1
}
