// SPDX-License-Identifier: MIT

package main

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// runeColumns returns how many columns of a terminal a character takes.
func runeColumns(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// fit returns text in exactly that many columns: cut, or filled with spaces.
func fit(text string, columns int) string {
	text, used := cut(text, columns)
	return text + strings.Repeat(" ", max(0, columns-used))
}
