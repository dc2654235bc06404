// SPDX-License-Identifier: MIT

package blockstore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/blockstore/blockstoretest"
	"meshnode/job"
)

func open(t testing.TB, dir string, x blockstore.Exchange) *blockstore.Disk {
	t.Helper()
	st, err := blockstore.NewDisk(dir, x)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func importFile(t testing.TB, st blockstore.Store, data []byte) (job.CID, *job.FileSet) {
	t.Helper()
	cid, set, err := st.Import(t.Context(), []blockstore.Source{blockstoretest.Source("a", data)})
	if err != nil {
		t.Fatal(err)
	}
	return cid, set
}

func export(t testing.TB, st blockstore.Store, set job.CID) ([]byte, error) {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := st.Export(t.Context(), set, root); err != nil {
		return nil, err
	}
	return root.ReadFile("a")
}

// blockFile returns the file of a block.
func blockFile(t testing.TB, dir string, cid job.CID) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "data", "*", strings.ToUpper(string(cid))+".data"))
	if err != nil || len(found) != 1 {
		t.Fatalf("files of %s: %v, error %v", cid, found, err)
	}
	return found[0]
}

func TestDiskRestart(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir, nil)
	data := blockstoretest.Bytes(1, 3*job.MaxBlock+7)
	pinned, _ := importFile(t, st, data)
	var blocks []job.CID
	for i := range 4 {
		cid, err := st.PutBlock(t.Context(), blockstoretest.Bytes(uint64(i), 1000))
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, cid)
	}
	for _, owner := range []string{"job", "other", "gone"} {
		if err := st.Pin(t.Context(), owner, pinned); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Unpin(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Block(t.Context(), blocks[0], nil); err != nil { // the last to go
		t.Fatal(err)
	}
	usage, _ := st.Usage(t.Context())
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}

	st = open(t, dir, nil)
	if got, _ := st.Usage(t.Context()); got != usage {
		t.Errorf("usage %d after a restart, %d before", got, usage)
	}
	if owners, err := st.Owners(t.Context()); !slices.Equal(owners, []string{"job", "other"}) || err != nil {
		t.Errorf("owners after a restart: %q, %v", owners, err)
	}
	if _, err := st.Collect(t.Context(), usage-3000); err != nil {
		t.Fatal(err)
	}
	for i, cid := range blocks {
		_, err := st.Block(t.Context(), cid, nil)
		if here := err == nil; here != (i == 0) {
			t.Errorf("block %d after a restart and a collection: %v", i, err)
		}
	}
	if err := st.Unpin(t.Context(), "job"); err != nil {
		t.Fatal(err)
	}
	for _, left := range []bool{true, false} {
		if _, err := st.Collect(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		got, err := export(t, st, pinned)
		if here := err == nil && bytes.Equal(got, data); here != left {
			t.Errorf("set is here: %v, want %v; error %v", here, left, err)
		}
		if err := st.Unpin(t.Context(), "other"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskPowerCut opens a store with what a power cut may leave of blocks that
// were not synced, and fetches the set again.
func TestDiskPowerCut(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir, nil)
	data := blockstoretest.Bytes(1, 7*job.MaxBlock)
	cid, set := importFile(t, st, data)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	cut := func(i int, damage func(path string) error) {
		t.Helper()
		if err := damage(blockFile(t, dir, set.Files[0].Blocks[i])); err != nil {
			t.Fatal(err)
		}
	}
	cut(0, func(path string) error { return os.Truncate(path, job.MaxBlock/2) })
	cut(1, func(path string) error { return os.Truncate(path, 0) })
	cut(2, func(path string) error { return os.WriteFile(path, make([]byte, job.MaxBlock), 0o600) })
	cut(3, os.Remove)
	if err := os.Truncate(blockFile(t, dir, cid), 10); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(dir, "data", ".temp", "temp-123")
	if err := os.WriteFile(temp, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "stray.data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	st = open(t, dir, nil)
	if _, err := os.Stat(temp); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temporary file: %v", err)
	}
	if _, err := st.Block(t.Context(), set.Files[0].Blocks[0], nil); !errors.Is(err, blockstore.ErrCorrupt) {
		t.Errorf("truncated block: %v", err)
	}
	if _, err := export(t, st, cid); !errors.Is(err, blockstore.ErrCorrupt) {
		t.Errorf("export of a truncated set: %v", err)
	}
	_ = st.Close()

	net := new(blockstore.Loopback)
	giver := blockstore.NewMemory(net.Join("giver"))
	defer giver.Close()
	importFile(t, giver, data)
	st = open(t, dir, net.Join("taker"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := st.Fetch(ctx, cid, []job.PeerID{"giver"}, set.Size()); err != nil {
		t.Fatal(err)
	}
	if got, err := export(t, st, cid); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes exported after the fetch, error %v", len(got), err)
	}
}

// TestDiskTornCreation opens a store whose creation was cut short.
func TestDiskTornCreation(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	st := open(t, dir, nil)
	cid, _ := importFile(t, st, []byte("data"))
	if got, err := export(t, st, cid); err != nil || string(got) != "data" {
		t.Errorf("%q, error %v", got, err)
	}
}

// TestDiskKilled kills a process that imports, and looks for every set of which
// it had said that it was stored.
func TestDiskKilled(t *testing.T) {
	const env = "BLOCKSTORE_TEST_IMPORT_INTO"
	if dir := os.Getenv(env); dir != "" {
		importForEver(t, dir)
	}
	dir := t.TempDir()
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskKilled$")
		cmd.Env = append(os.Environ(), env+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := make(map[job.CID]int)
		lines := bufio.NewScanner(out)
		for len(said) < 5*(round+1) && lines.Scan() {
			var cid job.CID
			var n int
			if _, err := fmt.Sscan(lines.Text(), &cid, &n); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			said[cid] = n
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()

		st := open(t, dir, nil)
		for cid, n := range said {
			if got, err := export(t, st, cid); err != nil || !bytes.Equal(got, killedData(n)) {
				t.Errorf("round %d: set %d of %d bytes: %v", round, n, len(got), err)
			}
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func killedData(n int) []byte {
	return append(blockstoretest.Bytes(uint64(n), 1000), blockstoretest.Bytes(uint64(n), job.MaxBlock)...)
}

func importForEver(t *testing.T, dir string) {
	st := open(t, dir, nil)
	for n := 1; ; n++ {
		cid, _ := importFile(t, st, killedData(n))
		fmt.Println(cid, n)
	}
}

// FuzzExport exports whatever a peer may have sent as a set: it may fail, but
// nothing gets out of the root, and an error leaves nothing behind.
func FuzzExport(f *testing.F) {
	for _, path := range []string{"a", "a/b", "../a", "/a", "a/../../b", "con", "a\x00b", `a\b`, "."} {
		good, _, err := (&job.FileSet{V: job.Version, Files: []job.File{{Path: strings.Repeat("x", len(path))}, {Path: "y"}}}).Block()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Replace(good, []byte(strings.Repeat("x", len(path))), []byte(path), 1))
	}
	outer := f.TempDir() // one for all: each takes its own folder away again
	in := filepath.Join(outer, "in")
	f.Fuzz(func(t *testing.T, block []byte) {
		st := blockstore.NewMemory(nil)
		defer st.Close()
		cid, err := st.PutBlock(t.Context(), block)
		if err != nil {
			return
		}
		if err := os.Mkdir(in, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(in)
		root, err := os.OpenRoot(in)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		failed := st.Export(t.Context(), cid, root)
		if names, err := os.ReadDir(outer); err != nil || len(names) != 1 {
			t.Errorf("beside the root: %v, error %v", names, err)
		}
		if names, err := os.ReadDir(in); failed != nil && (err != nil || len(names) > 0) {
			t.Errorf("left after %q: %v, error %v", failed, names, err)
		}
	})
}
