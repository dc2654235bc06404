// SPDX-License-Identifier: MIT

package main

import (
	"math"
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{printable("a\x1b[2Jb\r\n\tc\u202e\x00"), "a\uFFFD[2Jb\uFFFD\n\tc\uFFFD\uFFFD"},
		{oneLine("a\nb\tc"), "a b c"},
		{withoutRoom("node: api: down\n"), "api: down"},
		{withoutRoom("nodes: down"), "nodes: down"},
		{count(uint32(1), "frame"), "1 frame"},
		{count(0, "play"), "0 plays"},
		{clock(6600 * time.Millisecond), "0:07"},
		{clock(59*time.Minute + 59*time.Second), "59:59"},
		{clock(time.Hour + time.Minute + time.Second), "1:01:01"},
		{clock(seconds(math.NaN())), "0:00"},
		{clock(seconds(-1)), "0:00"},
		{clock(seconds(math.Inf(1))), "1000:00:00"},
		{bytesText(0), "0 B"},
		{bytesText(999), "999 B"},
		{bytesText(1000), "1.0 kB"},
		{bytesText(9950), "10 kB"},
		{bytesText(999_499), "999 kB"},
		{bytesText(999_500), "1.0 MB"},
		{bytesText(math.MaxUint64), "18 EB"},
		{closest("stauts", []string{"status", "jobs"}), "status"},
		{closest("xyzzy", []string{"status", "jobs"}), ""},
		{closest("", []string{"a", "jobs"}), ""},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"same", "same", 0}, {"qualtiy", "quality", 2}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
