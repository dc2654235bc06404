// SPDX-License-Identifier: MIT

package p2p

import (
	"fmt"
	"testing"
)

// Adverts that a slow reader has not seen are merged; nothing else is, and
// each peer's order stays.
func TestEventQueueMerges(t *testing.T) {
	q := newEventQueue()
	q.push(Event{Joined, "a", []byte("1")})
	q.push(Event{Joined, "b", []byte("1")})
	q.push(Event{Changed, "a", []byte("2")})
	q.push(Event{Changed, "a", []byte("3")})
	q.push(Event{Left, "a", nil})
	q.push(Event{Joined, "a", []byte("4")})
	q.push(Event{Changed, "b", []byte("2")})
	stop := make(chan struct{})
	go q.pump(stop)
	var got string
	for range 4 {
		e := <-q.out
		got += fmt.Sprintf("%d%s%s ", e.Kind, e.Peer, e.Advert)
	}
	if want := "0a3 0b2 2a 0a4 "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	q.push(Event{Changed, "a", []byte("5")})
	if e := <-q.out; e.Kind != Changed || string(e.Advert) != "5" {
		t.Errorf("got %v", e)
	}
	close(stop)
	if _, ok := <-q.out; ok {
		t.Error("an event after the end")
	}
}
