// SPDX-License-Identifier: MIT

package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// A worker that dies takes nothing with it.
func TestWorkerKilled(t *testing.T) {
	for _, part := range []float64{0.1, 0.5, 0.9} {
		t.Run(fmt.Sprintf("at %.0f%%", 100*part), func(t *testing.T) {
			slowFilmOf(t)
			m := houseOf(t)
			p := m.computers[0].publish(slowArgs...)
			p.collected(part)
			m.computers[2].stop(syscall.SIGKILL)
			sameFilm(t, p.finished())
		})
	}
}

// Cells that a worker has rendered and announced, and that die with it before
// anybody has fetched them, are rendered again.
func TestWorkerKilledBeforeTheFetch(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	submitter, worker := m.computers[0], m.computers[1]
	p := submitter.publish(append([]string{"--slots", "0"}, slowArgs...)...)
	p.collected(0.1)
	submitter.signal(syscall.SIGSTOP)
	held := worker.held()
	eventually(t, renderTime, "the worker has rendered cells that nobody fetches", func() bool {
		return worker.held() <= held-3
	})
	worker.stop(syscall.SIGKILL)
	submitter.signal(syscall.SIGCONT)
	sameFilm(t, p.finished())
}

// A worker that hangs, with its connections open, loses what it holds.
func TestWorkerHangs(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	p := m.computers[0].publish(slowArgs...)
	p.collected(0.1)
	m.computers[2].signal(syscall.SIGSTOP)
	e := p.finished()
	m.computers[2].signal(syscall.SIGCONT)
	sameFilm(t, e)
}

// A worker that is asked to end does so at once and in order; the others render
// what it held.
func TestWorkerStopped(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	p := m.computers[0].publish(slowArgs...)
	p.collected(0.2)
	begun := time.Now()
	if code := m.computers[2].stop(syscall.SIGTERM); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("SIGTERM: the node took %v to end", took)
	}
	sameFilm(t, p.finished())
}

// A cable is pulled out in the middle of a job and put in again later.
func TestCableCut(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	p := m.computers[0].publish(slowArgs...)
	p.collected(0.2)
	if err := m.network.Cut(3); err != nil {
		t.Fatal(err)
	}
	sameFilm(t, p.finished())
	if err := m.network.Join(3); err != nil {
		t.Fatal(err)
	}
	m.joined()
	m.forget()
}

// The submitter's own cable is cut while only others render.
func TestSubmitterCutOff(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	p := m.computers[0].publish(append([]string{"--slots", "0"}, slowArgs...)...)
	p.collected(0.2)
	if err := m.network.Cut(1); err != nil {
		t.Fatal(err)
	}
	eventually(t, renderTime, "the submitter has noticed", func() bool { return len(m.computers[0].peers()) == 0 })
	if err := m.network.Join(1); err != nil {
		t.Fatal(err)
	}
	sameFilm(t, p.finished())
}
