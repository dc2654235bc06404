// SPDX-License-Identifier: MIT

package blockstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

	"meshnode/blockstore"
	"meshnode/job"
)

func newRoot(t testing.TB) (string, *os.Root) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return dir, root
}

// walk visits everything below dir by its slash-separated path.
func walk(dir string, visit func(path string, info os.FileInfo) error) error {
	return filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(rel), info)
	})
}

func (s Suite) putBlock(t *testing.T) {
	st := s.local(t)
	data := Bytes(1, 1000)
	keep := bytes.Clone(data)
	cid := put(t, st, data)
	if cid != job.CIDOf(keep) {
		t.Errorf("put returned %s, want %s", cid, job.CIDOf(keep))
	}
	data[0]++ // the store must have its own
	wantBlock(t, st, keep)
	put(t, st, keep)
	wantUsage(t, st, len(keep))

	largest := Bytes(2, job.MaxBlock)
	put(t, st, largest)
	wantBlock(t, st, largest)

	for _, n := range []int{0, job.MaxBlock + 1} {
		_, err := st.PutBlock(t.Context(), make([]byte, n))
		wantError(t, fmt.Sprintf("put of %d bytes", n), err, blockstore.ErrLimit)
	}
	for _, cid := range []job.CID{job.CIDOf([]byte("absent")), "", "../../etc/passwd", "bafy"} {
		_, err := st.Block(t.Context(), cid, nil)
		wantError(t, fmt.Sprintf("block %q", cid), err, blockstore.ErrNotFound)
	}
	_, err := st.Block(t.Context(), cid, []job.PeerID{"peer"})
	if err == nil {
		t.Error("a block from peers without a deadline was accepted")
	}
}

func (s Suite) canceled(t *testing.T) {
	st := s.local(t)
	cid, _ := importSet(t, st, map[string][]byte{"a": Bytes(1, 10)})
	_, root := newRoot(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range everyMethod(ctx, st, cid, root) {
		wantError(t, what, err, context.Canceled)
	}
}

// everyMethod calls every method that has a context.
func everyMethod(ctx context.Context, st blockstore.Store, set job.CID, root *os.Root) map[string]error {
	errs := make(map[string]error)
	_, errs["PutBlock"] = st.PutBlock(ctx, []byte("x"))
	_, errs["Block"] = st.Block(ctx, set, nil)
	_, _, errs["Import"] = st.Import(ctx, nil)
	_, errs["Fetch"] = st.Fetch(ctx, set, nil, 1<<30)
	errs["Export"] = st.Export(ctx, set, root)
	errs["Pin"] = st.Pin(ctx, "owner", set)
	errs["Unpin"] = st.Unpin(ctx, "owner")
	_, errs["Owners"] = st.Owners(ctx)
	_, errs["Collect"] = st.Collect(ctx, 0)
	_, errs["Collectable"] = st.Collectable(ctx, 0)
	_, errs["Survey"] = st.Survey(ctx)
	_, _, errs["Verify"] = st.Verify(ctx)
	_, errs["Usage"] = st.Usage(ctx)
	return errs
}

func (s Suite) corrupt(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"flipped":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"emptied":   func([]byte) []byte { return nil },
		"longer":    func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			st := s.local(t)
			data := Bytes(1, 5000)
			cid := put(t, st, data)
			s.Damage(t, st, cid, damage(bytes.Clone(data)))
			_, err := st.Block(t.Context(), cid, nil)
			wantError(t, "first read", err, blockstore.ErrCorrupt)
			_, err = st.Block(t.Context(), cid, nil)
			wantError(t, "second read", err, blockstore.ErrNotFound)
			wantUsage(t, st, 0)
			put(t, st, data)
			wantBlock(t, st, data)
			wantUsage(t, st, len(data))
		})
	}
}

func (s Suite) sameBlockAtOnce(t *testing.T) {
	st := s.local(t)
	data := Bytes(1, job.MaxBlock)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if i%2 == 0 {
				put(t, st, data)
			} else {
				importSet(t, st, map[string][]byte{"a": data, "b": data})
			}
			wantBlock(t, st, data)
		})
	}
	wg.Wait()
	_, set := importSet(t, st, map[string][]byte{"a": data, "b": data})
	block, _, err := set.Block()
	if err != nil {
		t.Fatal(err)
	}
	wantUsage(t, st, len(data)+len(block))
}

// edges has files at every edge of the cut into blocks.
func edges() map[string][]byte {
	return map[string][]byte{
		"empty":         nil,
		"one":           Bytes(1, 1),
		"below":         Bytes(1, job.MaxBlock-1),
		"exact":         Bytes(1, job.MaxBlock),
		"above":         Bytes(1, job.MaxBlock+1),
		"sub/a/three":   Bytes(1, 3*job.MaxBlock),
		"sub/same":      Bytes(1, 3*job.MaxBlock),
		"sub/zeros":     make([]byte, 3*job.MaxBlock),
		"sub/ünïcode 文": Bytes(1, 100),
	}
}

func (s Suite) roundTrip(t *testing.T) {
	st := s.local(t)
	files := edges()
	cid, set := importSet(t, st, files)
	if err := set.Validate(); err != nil {
		t.Error(err)
	}
	wantExport(t, st, cid, files)
	again, _ := importSet(t, st, files)
	if again != cid {
		t.Errorf("the same files have the sets %s and %s", cid, again)
	}
	total := 0
	for _, c := range append(set.Blocks(), cid) {
		b, err := st.Block(t.Context(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		total += len(b)
	}
	wantUsage(t, st, total)

	empty, _ := importSet(t, st, nil)
	wantExport(t, st, empty, nil)
}

func (s Suite) manyFiles(t *testing.T) {
	st := s.local(t)
	files := make(map[string][]byte)
	for i := range 300 {
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = Bytes(uint64(i), i)
	}
	cid, _ := importSet(t, st, files)
	wantExport(t, st, cid, files)
}

func (s Suite) importRefuses(t *testing.T) {
	st := s.local(t)
	broken := errors.New("broken")
	unopened := func() (io.ReadCloser, error) {
		t.Error("a file was opened that could not be imported")
		return nil, broken
	}
	reader := func(r io.Reader) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(r), nil }
	}
	many := make([]blockstore.Source, job.MaxFiles+1)
	for i := range many {
		many[i] = blockstore.Source{Path: fmt.Sprint(i), Open: unopened}
	}
	big := Bytes(1, 3*job.MaxBlock)
	for _, test := range []struct {
		name  string
		files []blockstore.Source
		want  error // nil: any
	}{
		{"too many", many, blockstore.ErrLimit},
		{"too large", []blockstore.Source{{Path: "a", Size: job.MaxSetSize + 1, Open: unopened}}, blockstore.ErrLimit},
		{"too large together", []blockstore.Source{
			{Path: "a", Size: job.MaxSetSize, Open: unopened}, {Path: "b", Size: 1, Open: unopened}}, blockstore.ErrLimit},
		{"negative", []blockstore.Source{{Path: "a", Size: -1, Open: unopened}}, blockstore.ErrLimit},
		{"absolute", []blockstore.Source{{Path: "/a", Open: unopened}}, job.ErrInvalid},
		{"above", []blockstore.Source{{Path: "a/../../b", Open: unopened}}, job.ErrInvalid},
		{"twice", []blockstore.Source{{Path: "a", Open: unopened}, {Path: "a", Open: unopened}}, job.ErrInvalid},
		{"does not open", []blockstore.Source{{Path: "a", Size: 1, Open: func() (io.ReadCloser, error) { return nil, broken }}}, broken},
		{"does not read", []blockstore.Source{{Path: "a", Size: 9, Open: reader(io.MultiReader(bytes.NewReader(big[:5]), failing{broken}))}}, broken},
		{"does not end", []blockstore.Source{{Path: "a", Size: 5, Open: reader(io.MultiReader(bytes.NewReader(big[:5]), failing{broken}))}}, broken},
		{"short", []blockstore.Source{{Path: "a", Size: int64(len(big)) + 1, Open: reader(bytes.NewReader(big))}}, nil},
		{"long", []blockstore.Source{{Path: "a", Size: int64(len(big)) - 1, Open: reader(bytes.NewReader(big))}}, nil},
		{"not empty", []blockstore.Source{{Path: "a", Open: reader(bytes.NewReader(big))}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := st.Import(t.Context(), test.files)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
	// What was stored before an error is held by nobody.
	if _, err := st.Collect(t.Context(), 0); err != nil {
		t.Error(err)
	}
	wantUsage(t, st, 0)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (s Suite) exportRefuses(t *testing.T) {
	st := s.local(t)
	data := Bytes(1, job.MaxBlock+10)
	set, fileSet := importSet(t, st, map[string][]byte{"a": data, "dir/b": data, "dir/c": Bytes(2, 10)})
	refuse := func(name string, st blockstore.Store, set job.CID, want error, prepare func(dir string) error) {
		t.Run(name, func(t *testing.T) {
			dir, root := newRoot(t)
			if err := prepare(dir); err != nil {
				t.Skip(err)
			}
			before := list(t, dir)
			err := st.Export(t.Context(), set, root)
			if err == nil || want != nil && !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
			if after := list(t, dir); !slices.Equal(before, after) {
				t.Errorf("before the export %v, after it %v", before, after)
			}
		})
	}
	write := func(path ...string) func(string) error {
		return func(dir string) error {
			return os.WriteFile(filepath.Join(dir, filepath.Join(path...)), []byte("mine"), 0o600)
		}
	}
	nothing := func(string) error { return nil }
	refuse("file in the way", st, set, fs.ErrExist, write("a"))
	refuse("file for a folder", st, set, fs.ErrExist, write("dir"))
	refuse("last file in the way", st, set, fs.ErrExist, func(dir string) error {
		if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
			return err
		}
		return write("dir", "c")(dir)
	})
	if runtime.GOOS != "windows" {
		refuse("link in the way", st, set, fs.ErrExist, func(dir string) error { return os.Symlink("target", filepath.Join(dir, "a")) })
		outside := t.TempDir()
		refuse("link out", st, set, nil, func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "dir")) })
		refuse("link inside", st, set, nil, func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "other"), 0o700), os.Symlink("other", filepath.Join(dir, "dir")))
		})
		if names := list(t, outside); len(names) > 0 {
			t.Errorf("written outside of the root: %v", names)
		}
	}
	refuse("not a set", st, put(t, st, []byte("not a set")), job.ErrInvalid, nothing)
	refuse("absent", st, job.CIDOf([]byte("absent")), blockstore.ErrNotFound, nothing)
	refuse("wrong size", st, putSet(t, st, job.File{Path: "x", Size: 11, Blocks: []job.CID{job.CIDOf(Bytes(2, 10))}}), job.ErrInvalid, nothing)
	last := fileSet.Files[2].Blocks[0]
	s.Damage(t, st, last, []byte("damaged"))
	refuse("damaged", st, set, blockstore.ErrCorrupt, nothing)
}

// putSet stores a set that no import would make.
func putSet(t testing.TB, st blockstore.Store, files ...job.File) job.CID {
	t.Helper()
	block, _, err := (&job.FileSet{V: job.Version, Files: files}).Block()
	if err != nil {
		t.Fatal(err)
	}
	return put(t, st, block)
}

func list(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := walk(dir, func(path string, info os.FileInfo) error {
		names = append(names, fmt.Sprint(path, info.Size(), info.Mode()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (s Suite) openFile(t *testing.T) {
	st := s.local(t)
	files := edges()
	cid, set := importSet(t, st, files)
	for path, data := range files {
		f, err := blockstore.Open(t.Context(), st, cid, path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes read, error %v, want %d", path, len(got), err, len(data))
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := f.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("%s: read after close: %v", path, err)
		}
	}
	_, err := blockstore.Open(t.Context(), st, cid, "nothing")
	wantError(t, "absent file", err, fs.ErrNotExist)

	i := slices.IndexFunc(set.Files, func(f job.File) bool { return f.Path == "above" })
	s.Damage(t, st, set.Files[i].Blocks[1], []byte("x"))
	f, err := blockstore.Open(t.Context(), st, cid, "above")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	wantError(t, "damaged file", err, blockstore.ErrCorrupt)
	if len(got) != job.MaxBlock {
		t.Errorf("%d bytes read before the damaged block, want %d", len(got), job.MaxBlock)
	}
}

func (s Suite) collect(t *testing.T) {
	st := s.local(t)
	const n = 10
	blocks := make([][]byte, n)
	for i := range blocks {
		blocks[i] = Bytes(uint64(i), 1000)
		put(t, st, blocks[i])
	}
	wantBlock(t, st, blocks[0]) // used again: the last to go
	free := func(keep, want uint64) {
		t.Helper()
		if bytes, err := st.Collectable(t.Context(), keep); err != nil || bytes != want {
			t.Errorf("to collect to %d would free %d, error %v, want %d", keep, bytes, err, want)
		}
		if freed, err := st.Collect(t.Context(), keep); err != nil || freed != want {
			t.Errorf("collect to %d freed %d, error %v, want %d", keep, freed, err, want)
		}
	}
	free(n*1000, 0)
	free(1<<60, 0)
	free(8500, 2000)
	wantUsage(t, st, 8000)
	for i, b := range blocks {
		_, err := st.Block(t.Context(), job.CIDOf(b), nil)
		if gone := errors.Is(err, blockstore.ErrNotFound); gone != (i == 1 || i == 2) {
			t.Errorf("block %d: %v", i, err)
		}
	}
	free(0, 8000)
	wantUsage(t, st, 0)
	put(t, st, blocks[1])
	wantBlock(t, st, blocks[1])
}

func (s Suite) survey(t *testing.T) {
	st := s.local(t)
	a, set := importSet(t, st, map[string][]byte{"a": Bytes(1, 1000), "b": Bytes(2, 2000)})
	b := put(t, st, Bytes(1, 1000)) // a's
	put(t, st, Bytes(3, 500))
	for owner, cids := range map[string][]job.CID{"one": {a}, "two": {b, job.CIDOf([]byte("not here"))}} {
		if err := st.Pin(t.Context(), owner, cids...); err != nil {
			t.Fatal(err)
		}
	}
	block, _, err := set.Block()
	if err != nil {
		t.Fatal(err)
	}
	of := func(blocks, bytes int) blockstore.Amount {
		return blockstore.Amount{Blocks: blocks, Bytes: uint64(bytes)}
	}
	whole := of(3, 3000+len(block))
	want := &blockstore.Holdings{
		All: of(4, 3500+len(block)), Pinned: whole, ByOwner: map[string]blockstore.Amount{"one": whole, "two": of(1, 1000)},
	}
	got, err := st.Survey(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, error %v, want %+v", got, err, want)
	}
}

func (s Suite) verify(t *testing.T) {
	st := s.local(t)
	var cids []job.CID
	for i := range 5 {
		cids = append(cids, put(t, st, Bytes(uint64(i), 1000)))
	}
	want := func(blocks int, damaged ...job.CID) {
		t.Helper()
		checked, bad, err := st.Verify(t.Context())
		if err != nil || checked.Blocks != blocks || !slices.Equal(bad, damaged) {
			t.Errorf("%d blocks checked, %v damaged, error %v, want %d and %v", checked.Blocks, bad, err, blocks, damaged)
		}
	}
	want(5)
	s.Damage(t, st, cids[3], Bytes(9, 1000))
	want(5, cids[3])
	want(4)
	wantUsage(t, st, 4000)
	if _, err := st.Collect(t.Context(), 3000); err != nil {
		t.Fatal(err)
	}
	_, err := st.Block(t.Context(), cids[0], nil)
	wantError(t, "the block that was used least recently", err, blockstore.ErrNotFound)
}

func (s Suite) pins(t *testing.T) {
	st := s.local(t)
	files := edges()
	delete(files, "sub/ünïcode 文")
	other := map[string][]byte{"other": Bytes(9, job.MaxBlock+5), "shared": files["exact"]}
	plain, loose := Bytes(3, 500), Bytes(4, 500)
	early := Bytes(5, 500)
	pin := func(owner string, cids ...job.CID) {
		t.Helper()
		if err := st.Pin(t.Context(), owner, cids...); err != nil {
			t.Fatal(err)
		}
	}
	unpin := func(owner string) {
		t.Helper()
		if err := st.Unpin(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
	}
	collect := func() {
		t.Helper()
		if _, err := st.Collect(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := importSet(t, st, files)
	b, _ := importSet(t, st, other)
	pin("one", a)
	pin("one", put(t, st, plain)) // adds
	pin("two", b)
	pin("three", job.CIDOf(early)) // not here yet
	put(t, st, early)
	if owners, err := st.Owners(t.Context()); !slices.Equal(owners, []string{"one", "three", "two"}) || err != nil {
		t.Errorf("owners %q, %v", owners, err)
	}
	put(t, st, loose)
	collect()
	wantExport(t, st, a, files)
	wantExport(t, st, b, other)
	wantBlock(t, st, plain)
	wantBlock(t, st, early)
	_, err := st.Block(t.Context(), job.CIDOf(loose), nil)
	wantError(t, "block without a pin", err, blockstore.ErrNotFound)

	unpin("one")
	unpin("never-was")
	collect()
	wantExport(t, st, b, other) // with the block it shares
	_, err = st.Block(t.Context(), a, nil)
	wantError(t, "set after unpin", err, blockstore.ErrNotFound)
	unpin("two")
	unpin("three")
	collect()
	wantUsage(t, st, 0)

	for _, owner := range []string{"", ".", "..", "a/b", `a\b`, "a.b", "ä", string(make([]byte, 200))} {
		if st.Pin(t.Context(), owner, a) == nil || st.Unpin(t.Context(), owner) == nil {
			t.Errorf("owner %q accepted", owner)
		}
	}
	wantError(t, "pin of no CID", st.Pin(t.Context(), "one", "../../x"), job.ErrCID)
}

func (s Suite) closed(t *testing.T) {
	CheckGoroutines(t)
	st := s.New(t, nil)
	cid, _ := importSet(t, st, map[string][]byte{"a": Bytes(1, 10)})
	_, root := newRoot(t)
	for range 2 {
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	for what, err := range everyMethod(t.Context(), st, cid, root) {
		wantError(t, what, err, blockstore.ErrClosed)
	}
}
