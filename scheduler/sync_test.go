// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"testing"
	"time"

	"meshnode/job"
)

// TestPullsUnanswered: who has no time to answer is not asked again and again, by
// everybody at once; and all are asked soon when they answer.
func TestPullsUnanswered(t *testing.T) {
	const peers = 50
	s := New(Config{Self: "self"})
	now := time.Duration(0)
	asked := make(map[job.PeerID]bool)
	// run lets time pass, and returns how many pulls were sent, and the most at a time.
	run := func(span time.Duration, first []Action, answer job.Message) (pulls, most int) {
		type pull struct {
			Request
			end time.Duration
		}
		var open []pull
		take := func(actions []Action) {
			for _, a := range actions {
				if r, ok := a.(Request); ok {
					pulls++
					asked[r.To] = true
					open = append(open, pull{r, now + r.Within})
				}
			}
			most = max(most, len(open))
		}
		take(first)
		for end := now + span; now < end; now += 100 * time.Millisecond {
			for len(open) > 0 && (answer != nil || now >= open[0].end) {
				p := open[0]
				open = open[1:]
				take(s.Step(now, Answered{ID: p.ID, Signed: job.Signed{From: p.To, Msg: answer}}))
			}
			take(s.Step(now, Tick{}))
		}
		return pulls, most
	}

	var joined []Action
	for i := range peers {
		joined = append(joined, s.Step(now, PeerJoined{Peer: job.PeerID(fmt.Sprint("peer", i)), Advert: &job.Advert{}})...)
	}
	pulls, most := run(2*time.Minute, joined, nil)
	if pulls > 12 || pulls < 6 {
		t.Errorf("%d pulls in two minutes, of peers that do not answer", pulls)
	}
	if most > maxPulls {
		t.Errorf("%d pulls at a time", most)
	}
	back := s.Step(now, PeerJoined{Peer: "back", Advert: &job.Advert{}})
	if pulls, _ := run(100*time.Millisecond, back, nil); pulls != 1 {
		t.Errorf("%d pulls at once when a peer joins", pulls)
	}
	run(time.Minute, nil, &job.State{})
	if len(asked) != peers+1 {
		t.Errorf("%d of %d peers are asked in the minute in which they answer", len(asked), peers+1)
	}
}

// TestStateIsBounded: of the facts of a large job no more are gathered than a State can
// have, but enough that the node sees that there are more.
func TestStateIsBounded(t *testing.T) {
	const cells, size = 20_000, 300
	m := testManifest("b", 0, 1, 0)
	m.Plays = []job.Play{{Frames: cells}}
	_, id, err := m.Block()
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Self: "a"})
	s.Step(0, PeerJoined{"b", &job.Advert{}})
	s.Step(0, Received{job.Signed{From: "b", Msg: &job.Offer{Job: id}}})
	s.Step(0, ManifestFetched{Job: id, Manifest: m})
	for i := range uint32(cells) {
		s.Step(0, Received{job.Signed{From: "b", Msg: &job.Done{Job: id, Cell: i, Output: testOutput(id, i), Size: 1}, Raw: make([]byte, size)}})
	}
	facts := only[ReplyState](s.Step(0, Asked{1, job.Signed{From: "c", Msg: &job.Pull{}}}))[0].Facts
	if bytes := len(facts) * size; bytes <= job.MaxState || bytes > job.MaxState+job.MaxState/10 {
		t.Errorf("%d facts of %d bytes are gathered", len(facts), size)
	}
	last := []job.Known{{Job: id, Cells: job.Ranges{{A: 0, B: cells - 10}}}}
	if facts := only[ReplyState](s.Step(0, Asked{2, job.Signed{From: "c", Msg: &job.Pull{Known: last}}}))[0].Facts; len(facts) != 11 {
		t.Errorf("%d facts about an offer and 10 cells", len(facts))
	}
}
