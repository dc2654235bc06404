// SPDX-License-Identifier: MIT

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ctrl-C ends a job everywhere, and so does every other end of publish: nobody
// renders the job, knows it or keeps files of it.
func TestInterrupted(t *testing.T) {
	planning := func(p *publication) {
		p.until("planning", func(e event) bool { return e.Event == "planning" })
	}
	rendering := func(p *publication) { p.collected(0.2) }
	for _, c := range []struct {
		name string
		when func(*publication)
		how  func(*publication)
		code int
	}{
		{"while it is planned", planning, (*publication).interrupt, 130},
		{"while it is rendered", rendering, (*publication).interrupt, 130},
		{"publish is killed", rendering, (*publication).kill, -1},
		{"by its id", rendering, (*publication).cancel, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := houseOf(t)
			before := m.atRest()
			p := m.computers[0].publish(slowArgs...)
			c.when(p)
			begun := time.Now()
			c.how(p)
			if code := p.code(); code != c.code {
				t.Errorf("exit code %d", code)
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("publish took %v to end", took)
			}
			m.forget()
			// What stays is what was there before: warm engines, with their folders.
			eventually(t, endTime, "all engines of the job are gone, with their files", func() bool {
				now := m.traces()
				return now.processes <= before.processes && now.files <= before.files
			})
			if film, _ := filepath.Glob(filepath.Join(p.media, "videos", "*", "*", "*.mp4")); len(film) != 0 {
				t.Errorf("a canceled job left %q", film)
			}
		})
	}
	// The mesh is none the worse for it.
	sameFilm(t, houseOf(t).computers[0].publish(slowArgs...).finished())
}

// traces are what jobs leave behind, if they do.
type traces struct{ processes, files int }

func (m *mesh) traces() traces {
	m.t.Helper()
	found := traces{processes: len(processes())}
	for _, c := range m.computers {
		files, err := filepath.Glob(filepath.Join(c.home, "scratch", "*"))
		if err != nil {
			m.t.Fatal(err)
		}
		found.files += len(files)
	}
	return found
}

// atRest waits until nothing changes for a while: nodes warm their next engines
// after a job.
func (m *mesh) atRest() traces {
	m.t.Helper()
	const quiet = 2 * time.Second
	last, since := m.traces(), time.Now()
	eventually(m.t, readyTime, "the nodes are at rest", func() bool {
		if now := m.traces(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > quiet
	})
	return last
}

// A paused node takes no work of others until it is resumed.
func TestPause(t *testing.T) {
	m := houseOf(t)
	paused, other := m.computers[2], m.computers[1]
	args := []string{"-ql", "--seed", "7", "--cell-frames", "5", "--disable_caching", "--slots", "0", "scenes.py", "Turning"}
	for _, c := range []struct {
		command string
		renders bool
	}{{"pause", false}, {"resume", true}} {
		if a := paused.do(c.command); a.code != 0 {
			t.Fatalf("%s: exit code %d: %s", c.command, a.code, a.err)
		}
		e := m.computers[0].publish(args...).finished()
		if got := e.by(paused.name()) > 0; got != c.renders || e.by(other.name()) == 0 {
			t.Errorf("after %s: %+v", c.command, e.Nodes)
		}
	}
}

// A node that is paused while it renders for others ends all processes of their scenes.
func TestPauseEndsEngines(t *testing.T) {
	m := houseOf(t)
	paused := m.computers[2]
	m.atRest()
	idle := paused.below()
	p := m.computers[0].publish(append([]string{"--slots", "0"}, slowArgs...)...)
	eventually(t, renderTime, "it renders", func() bool { return len(paused.below()) > len(idle) && paused.held() > 0 })
	if a := paused.do("pause"); a.code != 0 {
		t.Fatalf("exit code %d: %s", a.code, a.err)
	}
	eventually(t, endTime, "the engine is gone, which was idle before", func() bool {
		now := paused.below()
		gone := func(id int) bool { return !slices.Contains(now, id) }
		return len(now) <= len(idle) && slices.ContainsFunc(idle, gone)
	})
	if len(m.computers[0].openJobs()) == 0 {
		t.Error("the job was over before")
	}
	if a := paused.do("resume"); a.code != 0 {
		t.Fatalf("exit code %d: %s", a.code, a.err)
	}
	p.interrupt()
	p.code()
}

// publish without a node starts one, which ends by itself; a second publish
// meanwhile joins it; the film is opened as Manim would.
func TestPublishStartsANode(t *testing.T) {
	m := newMesh(t, 1)
	c := m.computers[0].withManim()
	nodes := func() int { return countProcesses("run", "--for-clients") }

	opened := filepath.Join(folder(t), "opened")
	tools := folder(t)
	script := fmt.Sprintf("#!/bin/sh\necho \"$1\" >>%s\n", opened)
	if err := os.WriteFile(filepath.Join(tools, "xdg-open"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	long := c.publish(slowArgs...)
	long.planned()
	if n := nodes(); n != 1 {
		t.Errorf("%d nodes were started", n)
	}
	media := folder(t)
	cmd := c.command("publish", "--media_dir", media, "-p", "-ql", "--progress_bar", "none", "scenes.py", "Turning")
	cmd.Env = append(slices.Clone(cmd.Env), "PATH="+tools+":"+os.Getenv("PATH"))
	a := finish(t, cmd)
	film := filepath.Join(media, "videos", "scenes", "480p15", "Turning.mp4")
	if _, err := os.Stat(film); a.code != 0 || err != nil {
		t.Errorf("second publish: exit code %d, %v:\n%s%s", a.code, err, a.out, a.err)
	}
	// Manim breaks its lines.
	if said := strings.Join(strings.Fields(a.out), ""); !strings.Contains(said, "Filereadyat'"+film+"'") {
		t.Errorf("Manim's own last words are missing:\n%s", a.out)
	}
	if n := nodes(); n != 1 {
		t.Errorf("%d nodes run during the second publish", n)
	}
	if text, err := os.ReadFile(opened); strings.TrimSpace(string(text)) != film {
		t.Errorf("-p opened %q, not the film once: %v", text, err)
	}
	sameFilm(t, long.finished())
	eventually(t, endTime, "the node that publish started has ended", func() bool { return nodes() == 0 })
}

// A node keeps its id, and knows its peers again, when it is restarted on the
// same home; a second node on that home is refused.
func TestRestart(t *testing.T) {
	m := newMesh(t, 2)
	a, b := m.computers[0].start("--slots", "0"), m.computers[1].start("--slots", "0")
	id := a.status().Self.ID
	seen := func() bool { return slices.ContainsFunc(b.peers(), func(p peer) bool { return p.ID == id }) }
	eventually(t, readyTime, "the nodes know each other", seen)

	again := a.do("run")
	if owner := fmt.Sprint(a.node.Process.Pid); again.code != 3 || !strings.Contains(again.err, owner) {
		t.Errorf("second node on one home: exit code %d, does not name process %s: %s", again.code, owner, again.err)
	}
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if code := a.stop(end); end == syscall.SIGTERM && code != 0 {
			t.Errorf("SIGTERM: exit code %d", code)
		}
		eventually(t, endTime, "the peer has left", func() bool { return !seen() })
		a.start("--slots", "0")
		if got := a.status().Self.ID; got != id {
			t.Errorf("after %v the node is %s, not %s", end, got, id)
		}
		eventually(t, readyTime, "the nodes know each other again", seen)
	}
}
