// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
	"meshnode/scheduler"
)

// A job whose submitter is gone for good is finished by a worker, also by one that
// ends meanwhile and is started again: killed at any moment, if need be.
func TestFinish(t *testing.T) {
	for _, restarts := range []string{"never", "in order", "before the scheduler heard", "before the scheduler heard of the film"} {
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
		switch restarts {
		case "in order":
			if _, err := second.beginFinishing(id, wish); err != nil {
				t.Fatal(err)
			}
		case "before the scheduler heard":
			second.intend(finishKey(id), wish)
		case "before the scheduler heard of the film":
			second.post(scheduler.Finish{Job: id})
			m.wait("the wish to be recorded", func() bool { return rescuer.finishes(id) })
		}
		if restarts != "never" {
			second.Close()
			m.drop(second)
			second = rescuer.start()
			m.wait("its job to be known again", func() bool { return len(second.Jobs()) == 1 })
		}
		if restarts == "before the scheduler heard of the film" {
			m.wait("the scheduler to hear of it", func() bool { return !rescuer.finishes(id) })
		}
		var end events
		if err := second.Finish(m.soon(), wish, end.add); err != nil {
			t.Fatal(err)
		}
		last := end.last()
		if last.Event != "finished" || filepath.Dir(last.File) != wish.Dir {
			t.Fatalf("restarted %s: ended with %+v", restarts, last)
		}
		if data, err := os.ReadFile(last.File); err != nil || !bytes.Equal(data, film(demo)) {
			t.Errorf("restarted %s: the film differs (%v)", restarts, err)
		}
		if left, err := rescuer.records.Read("finish/"); err != nil || len(left) > 0 {
			t.Errorf("what was wished is still recorded: %v (%v)", left, err)
		}
	}
}

// unjoinable is a renderer whose engines fail to make films of cells, with an error.
type unjoinable struct {
	*synthetic.Renderer
	err error
}

func (r *unjoinable) Take(ctx context.Context, trust renderer.Trust, env string) (renderer.Engine, error) {
	e, err := r.Renderer.Take(ctx, trust, env)
	if err != nil {
		return nil, err
	}
	return &unjoiner{e, r.err}, nil
}

type unjoiner struct {
	renderer.Engine
	err error
}

func (e *unjoiner) Join(context.Context, *job.Manifest, map[uint32][]string) ([]string, error) {
	return nil, e.err
}

// What the engine says that makes the film of another's job is not taken for the words
// of the user's own scene, which are printed with all that a terminal obeys.
func TestFinishFailsInWordsOfOthers(t *testing.T) {
	man := &job.Manifest{
		V: job.Version, Submitter: "12D3KooWother", Name: "S", Need: job.Need{Renderer: "synthetic", Version: "1", Fingerprint: "synthetic", SelfTest: "synthetic"},
		Assets: job.CIDOf(nil), Width: 16, Height: 16, FPS: 30, Plays: []job.Play{{Frames: 10}},
	}
	for _, err := range []error{&renderer.SceneError{Text: "no codec \x1b[2J"}, &renderer.UsageError{Text: "no codec \x1b[2J"}} {
		m := newMesh(t)
		n := m.join(&synthetic.Renderer{}, 1, func(p *Parts) { p.Renderer = &unjoinable{p.Renderer.(*synthetic.Renderer), err} })
		block, id, blockErr := man.Block()
		if blockErr != nil {
			t.Fatal(blockErr)
		}
		if _, err := n.parts.Store.PutBlock(t.Context(), block); err != nil {
			t.Fatal(err)
		}
		f := &finishing{id: id, feed: newFeed(), cells: make(chan map[uint32]job.CID, 1), over: make(chan struct{})}
		f.cells <- map[uint32]job.CID{}
		last, goesOn := n.filmOf(f)
		if goesOn || last.Kind != FailedRender || !strings.Contains(last.Text, "no codec") {
			t.Errorf("%T: ended with %+v", err, last)
		}
	}
}

// finishes reports whether its scheduler has recorded that a film is to be made of
// another's job.
func (c *computer) finishes(id job.ID) bool {
	c.m.t.Helper()
	records, err := c.records.Read("job/" + string(id))
	if err != nil {
		c.m.t.Fatal(err)
	}
	r, err := scheduler.DecodeRecord(records["job/"+string(id)])
	if err != nil {
		c.m.t.Fatal(err)
	}
	return r.Job.Finishing
}

// A folder of pictures is made whole, also by a node that was killed over it or after it;
// what else has that name stays as it is.
func TestFinishedPictures(t *testing.T) {
	out, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	made := []string{"a.png", "b.png"}
	for _, name := range made {
		if err := out.WriteFile(name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	film := filepath.Join(dir, "film")
	f := &finishing{FinishRequest: FinishRequest{File: film}, id: "anid"}
	take := func() error {
		to, err := f.take(out, &job.Manifest{Name: "S", Plays: []job.Play{{Frames: 2}}}, made, 10)
		if err == nil && to != film {
			t.Errorf("it is said to be %s", to)
		}
		return err
	}
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("film.anid.part/0000.png", "a.p")    // killed over it
	write("film.anid.part/0001.png.part", "b") // and over this
	for _, when := range []string{"killed over it", "killed after it"} {
		if err := take(); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		var names []string
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if !d.IsDir() {
				data, _ := os.ReadFile(path)
				names = append(names, filepath.ToSlash(strings.TrimPrefix(path, dir))+" "+string(data))
			}
			return err
		})
		if want := []string{"/film/0000.png a.png", "/film/0001.png b.png"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: there are %q, should be %q (%v)", when, names, want, err)
		}
	}
	write("film/0001.png", "other")
	if err := take(); err == nil || !strings.Contains(err.Error(), "0001.png differs") {
		t.Errorf("another folder: %v", err)
	}
	if data, err := os.ReadFile(filepath.Join(film, "0001.png")); string(data) != "other" || err != nil {
		t.Errorf("what was there is now %q (%v)", data, err)
	}
}
