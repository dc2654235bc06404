// SPDX-License-Identifier: MIT

// Package blockstoretest is the conformance suite of blockstore.Store and
// blockstore.Exchange: what every store, with every exchange, must do.
package blockstoretest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
)

// Suite says how to make what is tested.
type Suite struct {
	// New returns an empty store that owns x, which may be nil.
	New func(t testing.TB, x blockstore.Exchange) blockstore.Store

	// Damage replaces the stored bytes of a block behind the store's back.
	Damage func(t testing.TB, s blockstore.Store, cid job.CID, data []byte)

	// Mesh returns a function that makes nodes which are connected to each
	// other. Its resources end with t.
	Mesh func(t testing.TB) func() (job.PeerID, blockstore.Exchange)
}

// Run runs the suite.
func (s Suite) Run(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(Suite, *testing.T)
	}{
		{"PutBlock", Suite.putBlock},
		{"Canceled", Suite.canceled},
		{"Corrupt", Suite.corrupt},
		{"SameBlockAtOnce", Suite.sameBlockAtOnce},
		{"RoundTrip", Suite.roundTrip},
		{"ManyFiles", Suite.manyFiles},
		{"ImportRefuses", Suite.importRefuses},
		{"ExportRefuses", Suite.exportRefuses},
		{"OpenFile", Suite.openFile},
		{"Collect", Suite.collect},
		{"CollectSparesFetch", Suite.collectSparesFetch},
		{"Survey", Suite.survey},
		{"Verify", Suite.verify},
		{"Pins", Suite.pins},
		{"Closed", Suite.closed},
		{"Fetch", Suite.fetch},
		{"FetchBlock", Suite.fetchBlock},
		{"FetchRefuses", Suite.fetchRefuses},
		{"FetchNowhere", Suite.fetchNowhere},
		{"FetchHalves", Suite.fetchHalves},
		{"FetchTwiceAtOnce", Suite.fetchTwiceAtOnce},
		{"FetchHeals", Suite.fetchHeals},
		{"FetchFromLiar", Suite.fetchFromLiar},
		{"FetchFromStalled", Suite.fetchFromStalled},
		{"FetchFromLost", Suite.fetchFromLost},
		{"FetchEndsWithClose", Suite.fetchEndsWithClose},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(s, t) })
	}
}

// wait is long enough for anything that should succeed on a busy machine.
const wait = 60 * time.Second

func (s Suite) local(t testing.TB) blockstore.Store {
	st := s.New(t, nil)
	t.Cleanup(func() { closeStore(t, st) })
	return st
}

// node returns a store on the mesh.
func (s Suite) node(t testing.TB, join func() (job.PeerID, blockstore.Exchange)) (job.PeerID, blockstore.Store) {
	id, x := join()
	st := s.New(t, x)
	t.Cleanup(func() { closeStore(t, st) })
	return id, st
}

func closeStore(t testing.TB, st blockstore.Store) {
	if err := st.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func deadline(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Bytes returns n bytes that depend on n and seed only.
func Bytes(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(n))
	out := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(out) // it has no errors
	return out
}

// Source returns a file to import.
func Source(path string, data []byte) blockstore.Source {
	return blockstore.Source{
		Path: path,
		Size: int64(len(data)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

// sources returns files in no particular order.
func sources(files map[string][]byte) []blockstore.Source {
	var out []blockstore.Source
	for path, data := range files {
		out = append(out, Source(path, data))
	}
	return out
}

func importSet(t testing.TB, st blockstore.Store, files map[string][]byte) (job.CID, *job.FileSet) {
	t.Helper()
	cid, set, err := st.Import(t.Context(), sources(files))
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	return cid, set
}

func put(t testing.TB, st blockstore.Store, data []byte) job.CID {
	t.Helper()
	cid, err := st.PutBlock(t.Context(), data)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	return cid
}

// wantBlock checks that a block is here.
func wantBlock(t testing.TB, st blockstore.Store, data []byte) {
	t.Helper()
	got, err := st.Block(t.Context(), job.CIDOf(data), nil)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("block of %d bytes: got %d, error %v", len(data), len(got), err)
	}
}

func wantError(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error %v, want one of %v", what, err, target)
	}
}

func wantUsage(t testing.TB, st blockstore.Store, want int) {
	t.Helper()
	if got, err := st.Usage(t.Context()); err != nil || got != uint64(want) {
		t.Errorf("usage %d, error %v, want %d", got, err, want)
	}
}

// wantExport checks that a set exports to just these files.
func wantExport(t testing.TB, st blockstore.Store, set job.CID, files map[string][]byte) {
	t.Helper()
	dir, root := newRoot(t)
	if err := st.Export(t.Context(), set, root); err != nil {
		t.Fatalf("export: %v", err)
	}
	got := make(map[string][32]byte)
	err := walk(dir, func(path string, info os.FileInfo) error {
		if runtime.GOOS != "windows" {
			want := os.FileMode(0o600)
			if info.IsDir() {
				want = 0o700
			}
			if info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
			}
		}
		if info.IsDir() {
			return nil
		}
		data, err := root.ReadFile(path)
		got[path] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(files) {
		t.Errorf("%d files exported, want %d", len(got), len(files))
	}
	for path, data := range files {
		if got[path] != sha256.Sum256(data) {
			t.Errorf("%s: exported bytes differ", path)
		}
	}
}

// CheckGoroutines fails the test if, at its end, goroutines of this project or
// of the libraries that it drives are still there that were not at its start.
// Call it before anything that registers a cleanup.
func CheckGoroutines(t testing.TB) {
	before := goroutines()
	t.Cleanup(func() {
		var left []string
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			left = left[:0]
			for id, stack := range goroutines() {
				if _, ok := before[id]; !ok {
					left = append(left, stack)
				}
			}
			if len(left) == 0 {
				return
			}
		}
		t.Errorf("%d goroutines left:\n%s", len(left), strings.Join(left, "\n\n"))
	})
}

// goroutines returns the stacks of all others by goroutine id.
func goroutines() map[string]string {
	buf := make([]byte, 16<<20)
	buf = buf[:runtime.Stack(buf, true)]
	out := make(map[string]string)
	for i, stack := range strings.Split(string(buf), "\n\n") {
		if i == 0 { // this one
			continue
		}
		if !strings.Contains(stack, "meshnode/") && !strings.Contains(stack, "ipfs/") {
			continue
		}
		id, _, _ := strings.Cut(stack, " [")
		out[id] = stack
	}
	return out
}
