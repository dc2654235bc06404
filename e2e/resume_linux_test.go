// SPDX-License-Identifier: MIT

package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// watched returns how a job has ended that was published on this computer.
func (c *computer) watched(id string) event {
	t := c.mesh.t
	t.Helper()
	a := c.do("watch", "--json", id)
	lines := strings.Split(strings.TrimSpace(a.out), "\n")
	var last event
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || a.code != 0 || last.Event != "finished" {
		t.Fatalf("watch: exit code %d, %v\n%s\n%s", a.code, err, lines[len(lines)-1], a.err)
	}
	return last
}

var cellRendered = regexp.MustCompile(`"cell rendered" job=\S+ cell=(\d+)`)

// rendered counts how often each cell was rendered during this test.
func (m *mesh) rendered() map[string]int {
	cells := make(map[string]int)
	for _, c := range m.computers {
		for _, found := range cellRendered.FindAllStringSubmatch(c.log(), -1) {
			cells[found[1]]++
		}
	}
	return cells
}

// When the submitter's node is asked to end, publish says so, and the job goes on when
// it runs again.
func TestSubmitterStopped(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	p := m.computers[0].publish(slowArgs...)
	p.collected(0.1)
	if code := m.computers[0].stop(syscall.SIGTERM); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	if code := p.code(); code != 1 {
		t.Errorf("publish: exit code %d", code)
	}
	if last := p.events[len(p.events)-1]; last.Kind != "stopped" {
		t.Errorf("publish ended with %+v", last)
	}
	m.noStrays()
	m.computers[0].start("--slots", "1")
	sameFilm(t, m.computers[0].watched(p.planned().Job))
	m.forget()
}

// When its computer loses power, publish and the engines die with it. When it runs again
// the job goes on, from any moment, and nothing that was collected is rendered again.
func TestSubmitterKilled(t *testing.T) {
	for what, killed := range map[string]func(*publication){
		"while it collects": func(p *publication) { p.collected(0.3) },
		"while it assembles": func(p *publication) {
			p.until("assembling", func(e event) bool { return e.Event == "assembling" })
		},
	} {
		t.Run(what, func(t *testing.T) {
			slowFilmOf(t)
			m := houseOf(t)
			submitter := m.computers[0]
			// It does not render itself, so that every cell is collected from others.
			p := submitter.publish(append([]string{"--slots", "0"}, slowArgs...)...)
			killed(p)
			submitter.signal(syscall.SIGSTOP) // what is rendered now is not collected
			before := m.rendered()
			done := 0
			p.mu.Lock()
			for _, e := range p.events {
				done = max(done, e.Done)
			}
			p.mu.Unlock()
			submitter.losePower(p)
			m.noStrays()
			submitter.start("--slots", "1")
			sameFilm(t, submitter.watched(p.planned().Job))
			twice := 0
			for _, n := range m.rendered() {
				twice += n - 1
			}
			t.Logf("killed with %d frames collected and %d cells rendered; %d cells rendered twice", done, len(before), twice)
			if twice > 0 {
				t.Errorf("%d cells were rendered twice, though no worker was lost", twice)
			}
			m.forget()
		})
	}
}

// publish outlives its node: it starts another, which goes on.
func TestPublishOutlivesItsNode(t *testing.T) {
	for what, killed := range map[string]func(*publication){
		"that plans":    func(p *publication) { p.until("planning", func(e event) bool { return e.Event == "planning" }) },
		"that collects": func(p *publication) { p.collected(0.3) },
	} {
		t.Run(what, func(t *testing.T) {
			slowFilmOf(t)
			m := houseOf(t)
			p := m.computers[0].publish(slowArgs...)
			killed(p)
			m.computers[0].stop(syscall.SIGKILL)
			sameFilm(t, p.finished())
			p.until("that the node has died", func(e event) bool { return e.Event == "note" && strings.Contains(e.Text, "the node has died") })
			m.forget()
		})
	}
}

// A worker that dies in its range and is started again goes on with it.
func TestWorkerKilledAndBack(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	p := m.computers[0].publish(append([]string{"--slots", "0"}, slowArgs...)...)
	p.collected(0.3)
	m.computers[1].stop(syscall.SIGKILL)
	m.computers[1].start("--slots", "1")
	e := p.finished()
	sameFilm(t, e)
	m.forget()
}

// The submitter's computer does not come back: another one makes the film. What was
// decided on the way can be looked at.
func TestFinishElsewhere(t *testing.T) {
	slowFilmOf(t)
	m := houseOf(t)
	p := m.computers[0].publish(slowArgs...)
	p.collected(0.3)
	id := p.planned().Job
	m.computers[0].losePower(p)
	if a := m.computers[1].do("finish", "nonesuch"); a.code != 1 || !strings.Contains(a.err, "no job of another node") {
		t.Errorf("finish of no job: exit code %d\n%s", a.code, a.err)
	}
	film := filepath.Join(folder(t), "rescued.mp4")
	a := m.computers[1].do("finish", "--output", film, id)
	if a.code != 0 || !strings.Contains(a.err, film) {
		t.Fatalf("finish: exit code %d\n%s", a.code, a.err)
	}
	bundle := filepath.Join(folder(t), "job.tar.gz")
	if a := m.computers[1].do("bundle", "--output", bundle, id); a.code != 0 {
		t.Fatalf("bundle: exit code %d\n%s", a.code, a.err)
	}
	if a := finish(t, exec.Command(program(), "replay", bundle)); a.code != 0 || !strings.Contains(a.out, " Finish ") || !strings.Contains(a.out, "> Assemble ") {
		t.Errorf("replay: exit code %d\n%s\n%s", a.code, a.out, a.err)
	}
	m.noStrays()
	m.computers[0].start("--slots", "1") // after all, and goes on
	whole := m.computers[0].watched(id)
	sameFilm(t, whole)
	samePictures(t, film, whole.File)
	m.forget()
}
