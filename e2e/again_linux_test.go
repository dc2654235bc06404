// SPDX-License-Identifier: MIT

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const editedScene = `
import manim as mn

from look import COLOR


class Edited(mn.Scene):
    def construct(self):
        square = mn.Square()
        self.play(mn.Create(square))
        self.play(square.animate.shift(mn.LEFT))
        self.play(mn.FadeIn(mn.Dot(color=COLOR)))
`

// publish --watch renders what an edit has changed, shows errors and goes on, leaves a
// film that is out of date, and ends with Ctrl-C.
func TestWatchRendersAgain(t *testing.T) {
	m := newMesh(t, 1)
	c := m.computers[0].withManim().start()
	project := folder(t)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("edited.py", editedScene)
	write("look.py", "COLOR = 'RED'\n")
	p := c.publish("--watch", "-ql", filepath.Join(project, "edited.py"), "Edited")
	// round waits for the end of a round, and returns what happened in it.
	seen := 0
	round := func(number int) (events []event, lines string) {
		t.Helper()
		p.until("the end of a round", func(e event) bool { return e.Event == "watching" && e.Round == number })
		p.mu.Lock()
		defer p.mu.Unlock()
		begin := seen
		for p.events[seen].Event != "watching" || p.events[seen].Round != number {
			seen++
		}
		seen++
		return p.events[begin:seen], strings.Join(p.lines[begin:seen], "\n")
	}
	of := func(events []event, kind string) event {
		t.Helper()
		for _, e := range events {
			if e.Event == kind {
				return e
			}
		}
		t.Fatalf("no event %s", kind)
		return event{}
	}
	first, _ := round(1)
	if frames := of(first, "planned").Frames; frames != 45 {
		t.Errorf("at first %d frames are rendered", frames)
	}

	write("look.py", "COLOR = 'BLUE'\n")
	second, lines := round(2)
	if frames := of(second, "planned").Frames; frames != 15 || !strings.Contains(lines, `"changed","files":["`+filepath.Join(project, "look.py")+`"]`) {
		t.Errorf("after an edit of the last play %d frames are rendered:\n%s", frames, lines)
	}
	if of(first, "finished").SHA256 == of(second, "finished").SHA256 {
		t.Error("the film is the one before the edit")
	}

	write("look.py", "COLOR = \n")
	third, _ := round(3)
	if e := of(third, "failed"); e.Kind != "scene" || !strings.Contains(e.Text, "SyntaxError") {
		t.Errorf("after a mistake: %+v", e)
	}

	write("look.py", "import time\ntime.sleep(600)\nCOLOR = 'RED'\n")
	eventually(t, renderTime, "it is planned", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.ContainsFunc(p.events[seen:], func(e event) bool { return e.Event == "planning" })
	})
	write("look.py", "COLOR = 'RED'\n")
	p.until("the round is given up", func(e event) bool { return e.Kind == "canceled" })
	last, _ := round(5)
	if of(last, "finished").SHA256 != of(first, "finished").SHA256 {
		t.Error("the first film is another when it is made again")
	}

	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
