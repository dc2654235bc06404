// SPDX-License-Identifier: MIT

package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"meshnode/job"
	"meshnode/renderer/synthetic"
)

// A request about several scenes is a job for each; one that fails does not keep
// the others from being rendered, and the request says so at its end.
func TestSeveralScenes(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{}, 1)
	m.add(&synthetic.Renderer{}, 1)
	m.settle()
	req, film := m.scene(demo, 0)
	for name, text := range map[string]string{
		"other.json":  `{"name":"Other","fps":30,"plays":[{"Frames":20}],"bytes":100}`,
		"broken.json": `{"name":"Broken","error":"no luck"}`,
	} {
		if err := os.WriteFile(filepath.Join(req.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	req.Args = []string{"scene.json", "broken.json", "other.json"}
	var e events
	n.Publish(t.Context(), req, e.add)
	if first := e.all[slices.IndexFunc(e.all, func(e Event) bool { return e.Event != "planning" })]; first.Event != "scenes" || !slices.Equal(first.Scenes, req.Args) {
		t.Errorf("the first event is %+v", first)
	}
	ends := map[string]string{}
	for _, e := range e.all {
		if e.Event == "rendered" || e.Event == "unrendered" {
			ends[e.Scene] = e.Event + " " + e.Kind
		}
	}
	if ends["scene.json"] != "rendered " || ends["other.json"] != "rendered " || ends["broken.json"] != "unrendered scene" || len(ends) != 3 {
		t.Errorf("scenes end with %v", ends)
	}
	last := e.last()
	if last.Event != "failed" || last.Kind != FailedRender || !strings.Contains(last.Text, "1 of 3 scenes were not rendered: broken.json") {
		t.Errorf("the last event is %+v", last)
	}
	if _, err := os.Stat(film); err != nil {
		t.Error(err)
	}

	e = events{}
	req.Scenes = []string{"scene.json", "other.json"}
	n.Publish(t.Context(), req, e.add)
	last = e.last()
	frames := uint32(0)
	for _, f := range last.Nodes {
		frames += f.Frames
	}
	if want := frameCount(demo.Plays) + 20; last.Event != "finished" || len(last.Files) != 2 || frames != want {
		t.Errorf("the last event is %+v, want %d frames", last, want)
	}
}

func frameCount(plays []job.Play) (frames uint32) {
	for _, p := range plays {
		frames += p.Frames
	}
	return frames
}

// A dry run plans, estimates, and leaves nothing with anybody.
func TestDryRun(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{}, 2)
	other := m.add(&synthetic.Renderer{}, 2)
	m.settle()
	req, film := m.scene(demo, 2)
	req.DryRun = true
	var e events
	n.Publish(t.Context(), req, e.add)
	planned := slices.IndexFunc(e.all, func(e Event) bool { return e.Event == "planned" })
	if planned < 0 {
		t.Fatalf("events: %+v", e.all)
	}
	p := e.all[planned]
	if p.Frames != frameCount(demo.Plays) || p.Job != "" || len(p.Estimates) != 2 || p.Estimates[0].Nodes != 1 || p.Estimates[1].Nodes != 2 ||
		!(p.Estimates[0].Seconds > 0) || p.Estimates[1].Seconds > p.Estimates[0].Seconds {
		t.Errorf("planned: %+v", p)
	}
	if last := e.last(); last.Event != "finished" || last.File != "" {
		t.Errorf("the last event is %+v", last)
	}
	if _, err := os.Stat(film); err == nil {
		t.Error("a dry run leaves a film")
	}
	if jobs := append(n.Jobs(), other.Jobs()...); len(jobs) != 0 {
		t.Errorf("a dry run leaves jobs: %+v", jobs)
	}
}
