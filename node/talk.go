// SPDX-License-Identifier: MIT

package node

import (
	"sync"
	"time"

	"meshnode/job"
)

// rate is how often something may be said.
type rate struct {
	every time.Duration // on average
	burst int           // at once
}

// Messages that cost more to take in than to say: a Progress goes through the cells
// of all jobs, a Call warms engines. What an honest node says is a third of that;
// what is beyond it is not heard.
var tolerated = map[job.Kind]rate{
	job.KindProgress: {time.Second / 4, 16},
	job.KindCall:     {time.Second, 64},
}

// maxTalkers bounds the peers whose talking is measured.
const maxTalkers = 1024

// talk measures what peers say.
type talk struct {
	mu sync.Mutex
	of map[talker]time.Time // when it will have been quiet for long enough to say all of a burst
}

// talker is a peer that says one kind of thing.
type talker struct {
	peer job.PeerID
	kind job.Kind
}

// may reports whether a peer may say that now, and notes it.
func (t *talk) may(from job.PeerID, kind job.Kind, now time.Time) bool {
	r, ok := tolerated[kind]
	if !ok {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := talker{from, kind}
	quiet := t.of[key]
	if quiet.Before(now) {
		quiet = now
	}
	if quiet.Sub(now) > time.Duration(r.burst-1)*r.every {
		return false
	}
	if len(t.of) >= maxTalkers {
		t.forget(now)
	}
	if t.of == nil {
		t.of = make(map[talker]time.Time)
	}
	t.of[key] = quiet.Add(r.every)
	return true
}

// forget drops those who are quiet; if all talk, somebody.
func (t *talk) forget(now time.Time) {
	for key, quiet := range t.of {
		if quiet.Before(now) {
			delete(t.of, key)
		}
	}
	for key := range t.of {
		if len(t.of) < maxTalkers {
			return
		}
		delete(t.of, key)
	}
}
