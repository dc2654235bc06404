// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
)

// TestLateFile: what cells open and the plan did not is fetched from the
// submitter, who is told so once.
func TestLateFile(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{}, 2)
	late := []string{"one.txt", "two.txt"}
	var mu sync.Mutex // guards what follows
	var engines []renderer.Engine
	read := make(map[string]bool)
	for range 2 {
		m.add(&synthetic.Renderer{Taken: func(trust renderer.Trust, e renderer.Engine) {
			mu.Lock()
			defer mu.Unlock()
			engines = append(engines, e)
		}, Fail: func(*job.Manifest, uint32) error { // before each cell, the second one too
			time.Sleep(20 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			for _, e := range engines {
				for _, name := range late {
					if text, err := e.In().ReadFile(name); err == nil {
						read[string(text)] = true
					}
				}
			}
			return nil
		}}, 2)
	}
	m.settle()
	scene := demo
	scene.Late = late
	req, _ := m.scene(scene, 0)
	for _, name := range late {
		if err := os.WriteFile(filepath.Join(req.Dir, name), []byte("in "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said events
	submitter.Publish(t.Context(), req, said.add)
	if last := said.last(); last.Event != "finished" {
		t.Fatalf("ended with %+v", last)
	}
	mu.Lock()
	defer mu.Unlock()
	if !read["in one.txt"] || !read["in two.txt"] {
		t.Errorf("the renderers have %v", read)
	}
	notes := 0
	for _, e := range said.all {
		if e.Event == "note" && strings.Contains(e.Text, "which the plan did not read") {
			notes++
		}
	}
	if notes != 1 {
		t.Errorf("%d notes of it", notes)
	}
}

// TestLendsToHoldersOnly: a peer that holds no cells, and one that asks about a
// job that is not there, get nothing.
func TestLendsToHoldersOnly(t *testing.T) {
	m := newMesh(t)
	started := make(chan struct{})
	var once sync.Once
	submitter := m.add(&synthetic.Renderer{Slow: time.Hour, Fail: func(*job.Manifest, uint32) error {
		once.Do(func() { close(started) })
		return nil
	}}, 1)
	stranger := m.add(&synthetic.Renderer{}, 0) // it takes no cells
	m.settle()
	scene := demo
	scene.Late = []string{"late.txt"}
	req, _ := m.scene(scene, 1)
	if err := os.WriteFile(filepath.Join(req.Dir, "late.txt"), []byte("late"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		submitter.Publish(ctx, req, func(Event) {})
	}()
	<-started
	var id job.ID
	for _, j := range submitter.Jobs() {
		id = j.ID
	}
	for _, test := range []struct {
		asked job.Missing
		want  job.Supplied
	}{
		{job.Missing{Job: id, Path: "late.txt"}, job.Supplied{Reason: "this node holds no cells of the job", Again: true}},
		{job.Missing{Job: job.ID(job.CIDOf([]byte("other"))), Path: "late.txt"}, job.Supplied{Reason: "the job is over"}},
	} {
		test.want.Job, test.want.Path = test.asked.Job, test.asked.Path
		within, done := context.WithTimeout(ctx, 10*time.Second)
		got, err := stranger.askForFile(within, submitter.self, &test.asked)
		done()
		if err != nil || *got != test.want {
			t.Errorf("%+v is answered by %+v (%v)", test.asked, got, err)
		}
	}
	cancel()
	<-ended
	if err := submitter.Close(); err != nil {
		t.Fatal(err)
	}
	within, done := context.WithTimeout(t.Context(), 10*time.Second)
	defer done()
	_, err := stranger.borrow(within, submitter.self, &job.Missing{Job: id, Path: "late.txt"})
	if err == nil || !strings.Contains(err.Error(), "the submitter does not answer") || errors.Is(err, renderer.ErrRefused) {
		t.Errorf("of a submitter that is gone: %v", err)
	}
}

func TestLenderRefuses(t *testing.T) {
	outside := t.TempDir()
	root := filepath.Join(t.TempDir(), "project")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if filepath.IsAbs(name) {
			path = name
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("data/points.csv", "1,2")
	write(".env", "secret")
	write(".git/config", "secret")
	write("unnamed.txt", "not named")
	write(filepath.Join(outside, "key"), "secret")
	link("data/points.csv", "inside.csv")
	link(filepath.Join(outside, "key"), "key")
	link(outside, "folder")
	link("../project/.env", "env")
	link(".git", "git")
	write("large.bin", "")
	if err := os.Truncate(filepath.Join(root, "large.bin"), maxLent+1); err != nil {
		t.Fatal(err)
	}
	plan := &renderer.Plan{Root: root, Lendable: []string{
		"data/points.csv", "inside.csv", "key", "folder/key", "env", ".env", "git/config", ".git/config", "data", "gone.txt", "large.bin",
	}}
	l := newLender(plan)
	store := blockstore.NewMemory(nil)
	defer store.Close()
	for _, test := range []struct{ path, refused string }{
		{"data/points.csv", ""},
		{"inside.csv", ""},
		{"unnamed.txt", "no file of the project"},
		{"key", "link out of the project"},
		{"folder/key", "link out of the project"},
		{"env", "hidden"},
		{".env", "hidden"},
		{"git/config", "hidden"},
		{".git/config", "hidden"},
		{"data", "not a regular file"},
		{"gone.txt", "gone"},
		{"large.bin", "--asset"},
	} {
		cid, _, err := l.file(t.Context(), store, &job.Missing{Job: testJob, Path: test.path})
		switch {
		case test.refused == "" && err != nil:
			t.Errorf("%s: %v", test.path, err)
		case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
			t.Errorf("%s: lent as %q (%v), want it refused: %s", test.path, cid, err, test.refused)
		}
	}
	// A file that changes meanwhile is lent as it was to the others.
	first, _, err := l.file(t.Context(), store, &job.Missing{Job: testJob, Path: "data/points.csv"})
	write("data/points.csv", "3,4")
	second, _, err2 := l.file(t.Context(), store, &job.Missing{Job: testJob, Path: "data/points.csv"})
	if err != nil || err2 != nil || first != second {
		t.Errorf("lent as %s (%v), then as %s (%v)", first, err, second, err2)
	}
	l.bytes = maxLentBytes
	l.names["unnamed.txt"] = true
	if _, _, err := l.file(t.Context(), store, &job.Missing{Job: testJob, Path: "unnamed.txt"}); err == nil || !strings.Contains(err.Error(), "--asset") {
		t.Errorf("beyond the limit of bytes: %v", err)
	}
}

var testJob = job.ID(job.CIDOf([]byte("a job")))

// FuzzOpenLent: whatever the name, what is opened lies in the project and is not
// hidden there.
func FuzzOpenLent(f *testing.F) {
	for _, name := range []string{"open.txt", "folder/open.txt", ".env", "../key", "link", "out/key", "a/../.env", "folder/.", "/etc/passwd", "open.txt/", "folder\\open.txt"} {
		f.Add(name)
	}
	base := f.TempDir()
	root := filepath.Join(base, "project")
	files := map[string]string{"open.txt": "open", "folder/open.txt": "open", ".env": "secret", "folder/.key": "secret", ".git/config": "secret", "../key": "secret"}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	for name, to := range map[string]string{"link": ".env", "out": "..", "git": ".git"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, name string) {
		file, size, err := openLent(root, name)
		if err != nil {
			return
		}
		defer file.Close()
		if text, err := io.ReadAll(file); err != nil || string(text) != "open" || size != 4 {
			t.Errorf("%q gives %q, %d bytes (%v)", name, text, size, err)
		}
	})
}
