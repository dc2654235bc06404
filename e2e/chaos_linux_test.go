// SPDX-License-Identifier: MIT

package e2e

import (
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	chaosJobs = flag.Int("chaos.jobs", 0, "jobs of TestChaos; 0: it is skipped")
	chaosSeed = flag.Uint64("chaos.seed", 1, "what goes wrong in TestChaos, and when")
)

// chaos is a mesh in which things go wrong at random.
type chaos struct {
	*mesh
	t    *testing.T
	rand *rand.Rand
	p    *publication
	said []string // what has gone wrong in this job
	film func() event
}

// faults are what may go wrong. Each leaves the mesh as it was, once its job is over.
var faults = []struct {
	name string
	do   func(*chaos, *computer) // the computer is a worker
}{
	{"worker killed", func(c *chaos, w *computer) {
		w.stop(syscall.SIGKILL)
		w.start("--slots", "1")
	}},
	{"worker frozen", func(c *chaos, w *computer) {
		w.signal(syscall.SIGSTOP)
		c.pause(15)
		w.signal(syscall.SIGCONT)
	}},
	{"cable of a worker", func(c *chaos, w *computer) { c.unplug(w.number) }},
	{"cable of the submitter", func(c *chaos, _ *computer) { c.unplug(1) }},
	{"bits of a worker's blocks", func(c *chaos, w *computer) { c.flip(w) }},
	{"bits of the submitter's blocks", func(c *chaos, _ *computer) { c.flip(c.computers[0]) }},
	{"submitter's node killed", func(c *chaos, _ *computer) {
		if s := c.computers[0]; s.node != nil { // else publish has started one already
			s.stop(syscall.SIGKILL)
		}
	}},
	{"submitter's power", func(c *chaos, _ *computer) {
		s := c.computers[0]
		if s.node == nil {
			return
		}
		id := c.p.planned().Job
		s.losePower(c.p)
		s.start("--slots", "1")
		c.film = func() event { return s.watched(id) }
	}},
	{"publish killed", func(c *chaos, _ *computer) {
		c.p.kill()
		c.p.code()
		c.begin()
	}},
}

// begin publishes the film.
func (c *chaos) begin() {
	c.p = c.computers[0].publish(slowArgs...)
	c.film = c.p.finished
}

func (c *chaos) pause(most int) {
	time.Sleep(time.Duration(500+c.rand.IntN(1000*most)) * time.Millisecond)
}

func (c *chaos) unplug(number int) {
	if err := c.network.Cut(number); err != nil {
		c.t.Fatal(err)
	}
	c.pause(15)
	if err := c.network.Join(number); err != nil {
		c.t.Fatal(err)
	}
}

// flip flips a bit in each of a few stored blocks.
func (c *chaos) flip(of *computer) {
	var files []string
	_ = filepath.WalkDir(filepath.Join(of.home, "blocks", "data"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	for range min(3, len(files)) {
		name := files[c.rand.IntN(len(files))]
		if data, err := os.ReadFile(name); err == nil && len(data) > 0 {
			data[c.rand.IntN(len(data))] ^= 1 << c.rand.IntN(8)
			_ = os.WriteFile(name, data, 0o600)
		}
	}
}

// Whatever goes wrong, the film is the same: on four nodes, one thing or two go wrong in
// each of many jobs. It is for make chaos.
func TestChaos(t *testing.T) {
	if *chaosJobs == 0 {
		t.Skip("see make chaos")
	}
	want := slowFilmOf(t)
	m := newMesh(t, 4)
	for _, c := range m.computers {
		c.withManim().start("--slots", "1")
	}
	c := &chaos{mesh: m, t: t, rand: rand.New(rand.NewPCG(*chaosSeed, 0))}
	same := 0
	for i := range *chaosJobs {
		m.whole()
		c.said = nil
		begun := time.Now()
		c.begin()
		for range 1 + c.rand.IntN(2) {
			fault, worker, part := faults[c.rand.IntN(len(faults))], m.computers[1+c.rand.IntN(3)], 0.8*c.rand.Float64()
			if c.p.reached(part) {
				c.said = append(c.said, fmt.Sprintf("%s at %.0f%%", fault.name, 100*part))
				fault.do(c, worker)
			}
		}
		e := c.film()
		verdict := "same film"
		if e.SHA256 == want {
			same++
		} else {
			verdict = "ANOTHER FILM"
			t.Errorf("job %d has SHA-256 %s, undisturbed %s", i+1, e.SHA256, want)
		}
		fmt.Printf("%4d  %-12s %5.1f s  %s\n", i+1, verdict, time.Since(begun).Seconds(), strings.Join(c.said, ", "))
	}
	fmt.Printf("seed %d: %d of %d films are the same\n", *chaosSeed, same, *chaosJobs)
	m.whole()
}

// reached waits until that part of the frames is collected, and reports whether that
// was before the end.
func (p *publication) reached(part float64) bool {
	for deadline := time.Now().Add(renderTime); time.Now().Before(deadline); time.Sleep(pollTime / 10) {
		select {
		case <-p.ended:
			return false
		default:
		}
		p.mu.Lock()
		frames, done := 0, 0
		for _, e := range p.events {
			frames, done = max(frames, e.Frames), max(done, e.Done)
		}
		p.mu.Unlock()
		if frames > 0 && float64(done) >= part*float64(frames) {
			return true
		}
	}
	return false
}

// whole makes the mesh what it was before a job.
func (m *mesh) whole() {
	m.t.Helper()
	m.noStrays() // a node that publish has started ends by itself
	for _, c := range m.computers {
		if c.node == nil {
			c.start("--slots", "1")
		}
	}
	m.joined()
	m.forget()
}
