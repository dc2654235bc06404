// SPDX-License-Identifier: MIT

package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// terminal returns the file behind w if that is a terminal which understands
// cursor movements.
func terminal(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil, false
	}
	return f, obeysEscapes(f)
}

// sameTerminal says whether w ends in that terminal, too.
func sameTerminal(w io.Writer, tty *os.File) bool {
	f, ok := terminal(w)
	if !ok {
		return false
	}
	a, errA := f.Stat()
	b, errB := tty.Stat()
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// sizeOf returns a terminal's size, or the usual one when it does not tell.
func sizeOf(f *os.File) func() (width, height int) {
	return func() (int, int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil || width < 1 || height < 1 {
			return 80, 24
		}
		return width, height
	}
}

// style is how a terminal is written to.
type style struct {
	color   bool // unless NO_COLOR is set: no-color.org
	unicode bool
}

func styleOf(getenv func(string) string) style {
	s := style{color: getenv("NO_COLOR") == ""}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			s.unicode = strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
			break
		}
	}
	s.unicode = s.unicode || getenv("WT_SESSION") != "" // Windows Terminal
	return s
}

// paint wraps text in an SGR code such as "32", green, or "2", dim.
func (s style) paint(code, text string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
