// SPDX-License-Identifier: MIT

package api

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/node"
)

// A bundle has the files of a scene that the node has, and says which it has not:
// whoever asks for it makes the node fetch nothing.
func TestBundle(t *testing.T) {
	ctx := testContext(t)
	var exchange blockstore.Loopback
	store, other := blockstore.NewMemory(exchange.Join("self")), blockstore.NewMemory(exchange.Join("other"))
	defer other.Close()
	h := newInsideWith(t, store)
	c := fakeNode(t, t.TempDir(), h.handler().ServeHTTP)
	files := map[string]string{"here.txt": "here", "gone.txt": strings.Repeat("gone", job.MaxBlock/4) + "!"}
	id := h.publish(t, files)

	// bundled returns what is in the job's bundle, and what it says that it lacks.
	bundled := func(assets bool) (map[string]string, []string) {
		t.Helper()
		from, err := c.Bundle(ctx, string(id), assets)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		data, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		about, err := node.Replay(bytes.NewReader(data), nil)
		if err != nil {
			t.Fatal(err)
		}
		zip, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for in := tar.NewReader(zip); ; {
			head, err := in.Next()
			if err == io.EOF {
				return got, about.Lacks
			}
			text, err2 := io.ReadAll(in)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			got[head.Name] = string(text)
		}
	}

	got, lacks := bundled(true)
	for name, text := range files {
		if got["assets/"+name] != text {
			t.Errorf("%s has %d bytes in the bundle, want %d", name, len(got["assets/"+name]), len(text))
		}
	}
	if len(lacks) > 0 || got["manifest"] == "" || got["about.json"] == "" {
		t.Errorf("it lacks %q", lacks)
	}
	if got, lacks := bundled(false); len(got) != 2 || len(lacks) > 0 {
		t.Errorf("without assets: %d files, and it lacks %q", len(got), lacks)
	}

	// All is gone, and then all but the end of one file is there again. A peer has that.
	manifest := block(t, store, job.CID(id))
	man, err := job.DecodeManifest(manifest)
	if err != nil {
		t.Fatal(err)
	}
	encoded := block(t, store, man.Assets)
	set, err := job.DecodeFileSet(encoded)
	if err != nil {
		t.Fatal(err)
	}
	back := [][]byte{manifest, encoded}
	for _, f := range set.Files {
		for i, cid := range f.Blocks {
			data := block(t, store, cid)
			if f.Path != "gone.txt" || i < len(f.Blocks)-1 {
				back = append(back, data)
			} else if _, err := other.PutBlock(ctx, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := store.Collect(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if got, lacks := bundled(true); len(got) != 1 || len(lacks) == 0 {
		t.Errorf("with nothing left: %d files, and it lacks %q", len(got), lacks)
	}
	for _, data := range back {
		if _, err := store.PutBlock(ctx, data); err != nil {
			t.Fatal(err)
		}
	}
	before := h.survey(t)
	got, lacks = bundled(true)
	if _, ok := got["assets/gone.txt"]; ok || got["assets/here.txt"] != "here" || len(lacks) != 1 || !strings.Contains(lacks[0], "1 of 3 files") || !strings.Contains(lacks[0], "gone.txt") {
		t.Errorf("with a file gone: %d files, and it lacks %q", len(got), lacks)
	}
	if after := h.survey(t); !reflect.DeepEqual(after, before) {
		t.Errorf("the bundle has changed the store: %+v, before %+v", after, before)
	}
	if _, err := c.Bundle(ctx, "nowhere", true); err == nil {
		t.Error("a job that is not known has a bundle")
	}
}

func block(t *testing.T, store blockstore.Store, cid job.CID) []byte {
	t.Helper()
	data, err := store.Block(t.Context(), cid, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A node for clients does not end while it writes a bundle for one.
func TestBundleCountsAsClient(t *testing.T) {
	h := newInside(t)
	id := h.publish(t, map[string]string{})
	w := &counting{ResponseRecorder: httptest.NewRecorder(), of: h.server}
	h.handler().ServeHTTP(w, httptest.NewRequest("GET", "/v1/jobs/"+string(id)+"/bundle", nil))
	if w.Code != 200 || w.clients != 1 || h.held != 0 {
		t.Errorf("status %d, with %d clients while it was written, and %d after it", w.Code, w.clients, h.held)
	}
}

// counting is an answer that remembers how many clients there were when it was written.
type counting struct {
	*httptest.ResponseRecorder
	of      *server
	clients int
}

func (c *counting) Write(p []byte) (int, error) {
	c.of.mu.Lock()
	c.clients = c.of.held
	c.of.mu.Unlock()
	return c.ResponseRecorder.Write(p)
}
