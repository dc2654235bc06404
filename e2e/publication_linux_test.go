// SPDX-License-Identifier: MIT

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// event is a line of publish --json.
type event struct {
	Event  string       `json:"event"`
	Text   string       `json:"text"`
	Kind   string       `json:"kind"`
	Scene  string       `json:"scene"`
	Job    string       `json:"job"`
	Frames int          `json:"frames"`
	Cells  int          `json:"cells"`
	Kept   int          `json:"kept"`
	Done   int          `json:"done"`
	Round  int          `json:"round"`
	File   string       `json:"file"`
	SHA256 string       `json:"sha256"`
	Nodes  []nodeFrames `json:"nodes"`
}

// nodeFrames is a node's part in a job.
type nodeFrames struct {
	Peer   string `json:"peer"`
	Name   string `json:"name"`
	Self   bool   `json:"self"`
	Frames int    `json:"frames"`
	Held   int    `json:"held"`
}

// by returns how many of the frames come from the node of that name.
func (e event) by(name string) int {
	for _, n := range e.Nodes {
		if n.Name == name {
			return n.Frames
		}
	}
	return 0
}

// publication is a running publish --json.
type publication struct {
	t     *testing.T
	from  *computer
	cmd   *exec.Cmd
	media string
	ended chan struct{}

	mu     sync.Mutex
	events []event
	lines  []string     // as printed
	err    bytes.Buffer // its standard error, complete when ended
}

// publish begins a job on this computer, with a media folder of its own.
func (c *computer) publish(args ...string) *publication {
	c.mesh.t.Helper()
	return c.publishTyped("", args...)
}

// publishTyped is publish with something on standard input.
func (c *computer) publishTyped(typed string, args ...string) *publication {
	t := c.mesh.t
	t.Helper()
	p := &publication{t: t, from: c, media: folder(t), ended: make(chan struct{})}
	// Rendering cells twice is for the tests that are about that.
	p.cmd = c.command("publish", append([]string{"--json", "--media_dir", p.media, "--trust", "mine"}, args...)...)
	p.cmd.Stderr = &p.err
	p.cmd.Stdin = strings.NewReader(typed)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var e event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				e = event{Event: "not JSON", Text: lines.Text()}
			}
			p.mu.Lock()
			p.events = append(p.events, e)
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		select {
		case <-p.ended:
		default:
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		if t.Failed() && (len(p.events) == 0 || p.events[len(p.events)-1].Event != "finished") {
			for _, line := range p.lines[max(0, len(p.lines)-15):] {
				t.Logf("publish printed: %.600s", line)
			}
			t.Logf("publish, on its standard error:\n%s", &p.err)
		}
	})
	return p
}

// until waits for an event, and returns the first of that kind.
func (p *publication) until(what string, found func(event) bool) event {
	p.t.Helper()
	deadline := time.After(renderTime)
	for {
		over := false
		select {
		case <-p.ended:
			over = true
		default:
		}
		p.mu.Lock()
		for _, e := range p.events {
			if found(e) {
				p.mu.Unlock()
				return e
			}
		}
		p.mu.Unlock()
		if over {
			p.t.Fatalf("publish ended without: %s", what)
		}
		select {
		case <-p.ended:
		case <-time.After(pollTime / 10):
		case <-deadline:
			p.t.Fatalf("after %v publish has still not told: %s", renderTime, what)
		}
	}
}

// planned waits until the job is offered.
func (p *publication) planned() event {
	p.t.Helper()
	return p.until("planned", func(e event) bool { return e.Event == "planned" })
}

// collected waits until that part of the frames, 0 to 1, is collected.
func (p *publication) collected(part float64) event {
	p.t.Helper()
	frames := float64(p.planned().Frames)
	return p.until("frames collected", func(e event) bool {
		return e.Event == "progress" && float64(e.Done) >= part*frames
	})
}

// code waits for the end of the command and returns its exit code.
func (p *publication) code() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(renderTime):
		p.t.Fatalf("publish is still there after %v", renderTime)
	}
	return p.cmd.ProcessState.ExitCode()
}

// finished waits for the film and returns the event that tells of it.
func (p *publication) finished() event {
	p.t.Helper()
	code := p.code()
	if code != 0 || len(p.events) == 0 || p.events[len(p.events)-1].Event != "finished" {
		p.t.Fatalf("publish ended with exit code %d and without a film", code)
	}
	return p.events[len(p.events)-1]
}

// interrupt is Ctrl-C.
func (p *publication) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
}

func (p *publication) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
}

// cancel ends the job with another command.
func (p *publication) cancel() {
	p.t.Helper()
	id := p.planned().Job
	if a := p.from.do("cancel", id[len(id)-8:]); a.code != 0 {
		p.t.Errorf("cancel: exit code %d: %s", a.code, a.err)
	}
}
