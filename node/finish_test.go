// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer/synthetic"
)

// A job whose submitter is gone for good is finished by a worker, also by one that
// ends meanwhile and is started again.
func TestFinish(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		m := newMesh(t)
		m.add(&synthetic.Renderer{Slow: 5 * time.Millisecond}, 1)
		rescuer := m.computer(102, 1, 5*time.Millisecond)
		second := rescuer.start()
		submitter := m.add(&synthetic.Renderer{}, 0)
		m.settle()
		req, _ := m.scene(demo, 0)
		var id job.ID
		left := false
		submitter.Publish(m.soon(), req, func(e Event) {
			switch {
			case e.Event == "planned":
				id = e.Job
			case e.Event == "progress" && e.Done >= 20 && !left:
				left = true
				err := second.Finish(m.soon(), FinishRequest{Job: string(id), Dir: t.TempDir()}, func(Event) {})
				if err == nil || !strings.Contains(err.Error(), "is there") {
					t.Errorf("the submitter is there, and the job was to be finished: %v", err)
				}
				go submitter.Close()
			}
		})
		m.drop(submitter)
		m.wait("the submitter to be missed", func() bool { return len(second.Peers()) == 1 })
		wish := FinishRequest{Job: string(id[len(id)-8:]), Dir: t.TempDir()}
		if restarts {
			if _, err := second.beginFinishing(id, wish); err != nil {
				t.Fatal(err)
			}
			second.Close()
			m.drop(second)
			second = rescuer.start()
			m.wait("its job to be known again", func() bool { return len(second.Jobs()) == 1 })
		}
		var end events
		if err := second.Finish(m.soon(), wish, end.add); err != nil {
			t.Fatal(err)
		}
		last := end.last()
		if last.Event != "finished" || filepath.Dir(last.File) != wish.Dir {
			t.Fatalf("restarts %v: ended with %+v", restarts, last)
		}
		if data, err := os.ReadFile(last.File); err != nil || !bytes.Equal(data, film(demo)) {
			t.Errorf("restarts %v: the film differs (%v)", restarts, err)
		}
		if left, err := rescuer.records.Read("finish/"); err != nil || len(left) > 0 {
			t.Errorf("what was wished is still recorded: %v (%v)", left, err)
		}
	}
}
