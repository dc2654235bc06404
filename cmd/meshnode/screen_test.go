// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// fakeTerminal obeys what screen writes, and fails the test on anything else.
type fakeTerminal struct {
	t             *testing.T
	width, height int
	rows          [][]rune
	x, y          int
	wrap          bool
	writes        int
}

func newFakeTerminal(t *testing.T, width, height int) *fakeTerminal {
	return &fakeTerminal{t: t, width: width, height: height, rows: make([][]rune, 1), wrap: true}
}

func (f *fakeTerminal) size() (int, int) { return f.width, f.height }

func (f *fakeTerminal) Write(data []byte) (int, error) {
	f.writes++
	for text := string(data); text != ""; {
		if n := f.escape(text); n > 0 {
			text = text[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(text)
		text = text[n:]
		switch r {
		case '\r':
			f.x = 0
		case '\n':
			f.x = 0 // the line discipline adds the carriage return
			f.down()
		default:
			f.put(r)
		}
	}
	return len(data), nil
}

func (f *fakeTerminal) down() {
	f.y++
	for len(f.rows) <= f.y {
		f.rows = append(f.rows, nil)
	}
}

func (f *fakeTerminal) put(r rune) {
	if f.x >= f.width {
		if !f.wrap {
			f.x = f.width - 1
		} else {
			f.x = 0
			f.down()
		}
	}
	row := f.rows[f.y]
	for len(row) <= f.x {
		row = append(row, ' ')
	}
	row[f.x] = r
	f.rows[f.y] = row
	f.x++
}

// escape obeys the escape sequence with which text begins and returns its length.
func (f *fakeTerminal) escape(text string) int {
	if !strings.HasPrefix(text, "\x1b") {
		return 0
	}
	end := strings.IndexAny(text, "ABCDHJKhlm") + 1
	switch code := text[1:end]; {
	case code == "[K":
		f.rows[f.y] = f.rows[f.y][:min(f.x, len(f.rows[f.y]))]
	case code == "[J":
		f.rows[f.y] = f.rows[f.y][:min(f.x, len(f.rows[f.y]))]
		f.rows = f.rows[:f.y+1]
	case code == "[?7l", code == "[?7h":
		f.wrap = code == "[?7h"
	case strings.HasSuffix(code, "A"):
		var n int
		if _, err := fmt.Sscanf(code, "[%dA", &n); err != nil || n > f.y {
			f.t.Fatalf("cursor up by %q from row %d", code, f.y)
		}
		f.y -= n
	case strings.HasSuffix(code, "m"):
	default:
		f.t.Fatalf("unknown escape sequence %q", code)
	}
	return end
}

// resize makes the terminal narrower or wider, breaking long rows as terminals
// do.
func (f *fakeTerminal) resize(width int) {
	f.width = width
	var rows [][]rune
	for i, row := range f.rows {
		if i == f.y {
			f.y = len(rows)
		}
		for len(row) > width {
			rows = append(rows, row[:width])
			row = row[width:]
		}
		rows = append(rows, row)
	}
	f.rows = rows
}

func (f *fakeTerminal) String() string {
	var b strings.Builder
	for _, row := range f.rows {
		b.WriteString(strings.TrimRight(string(row), " "))
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (f *fakeTerminal) expect(want string) {
	f.t.Helper()
	if got := f.String(); got != want {
		f.t.Errorf("terminal shows:\n%s\nwant:\n%s", got, want)
	}
}

func TestScreen(t *testing.T) {
	tty := newFakeTerminal(t, 20, 10)
	s := &screen{out: tty, size: tty.size}
	s.draw([]string{"one", "two", "three"})
	tty.expect("one\ntwo\nthree\n")

	writes := tty.writes
	s.draw([]string{"1"})
	tty.expect("1\n")
	if tty.writes != writes+1 {
		t.Errorf("a redraw took %d writes", tty.writes-writes)
	}

	writes = tty.writes
	s.print("a line above, longer than the terminal")
	tty.expect("a line above, longer\n than the terminal\n1\n")
	if tty.writes != writes+1 {
		t.Errorf("a line above took %d writes", tty.writes-writes)
	}
	s.draw([]string{"\x1b[32mgreen and far too long\x1b[0m", "x"})
	tty.expect("a line above, longer\n than the terminal\ngreen and far too l\nx\n")

	tty.resize(8)
	s.draw([]string{"narrow", "bar"})
	tty.expect("a line a\nbove, lo\nnger\n than th\ne termin\nal\nnarrow\nbar\n")

	s.clear()
	s.clear()
	tty.expect("a line a\nbove, lo\nnger\n than th\ne termin\nal\n")

	s.draw([]string{"narrow", "bar"})
	s.keep()
	fmt.Fprintln(tty, "end")
	tty.resize(80)
	s.draw([]string{"next"})
	if got := tty.String(); !strings.HasSuffix(got, "narrow\nbar\nend\nnext\n") {
		t.Errorf("terminal shows:\n%s", got)
	}
}

// TestScreenHeight checks that the block never scrolls: what scrolls away cannot
// be rewritten.
func TestScreenHeight(t *testing.T) {
	tty := newFakeTerminal(t, 20, 4)
	s := &screen{out: tty, size: tty.size}
	for range 3 {
		s.draw([]string{"1", "2", "3", "4", "5"})
	}
	tty.expect("1\n2\n")
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		line    string
		most    int
		want    string
		columns int
	}{
		{"", 5, "", 0},
		{"abc", 5, "abc", 3},
		{"abc", 2, "ab", 2},
		{"abc", 0, "", 0},
		{"日本語", 4, "日本", 4},
		{"日本語", 5, "日本", 4},
		{"a日b", 2, "a", 1}, // b would fit, but it does not follow a
		{"e\u0301x", 1, "e\u0301", 1},
		{"\x1b[32mab\x1b[0mc", 1, "\x1b[32ma\x1b[0m", 1},
		{"\x1b[", 9, "\x1b[", 2},
	} {
		got, columns := cut(test.line, test.most)
		if got != test.want || columns != test.columns {
			t.Errorf("cut(%q, %d) = %q, %d; want %q, %d", test.line, test.most, got, columns, test.want, test.columns)
		}
	}
}
