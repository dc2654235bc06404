// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"meshnode/p2p"
)

// open opens records and closes them with the test.
func open(t testing.TB, path string) *database {
	t.Helper()
	d, err := openDatabase(path, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func names(t testing.TB, r Records, prefix string) []string {
	t.Helper()
	found, err := r.Read(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(found))
}

func TestRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	for name, reopen := range map[string]func(Records) Records{
		"on disk":   func(Records) Records { return open(t, path) },
		"in memory": func(r Records) Records { return r },
	} {
		t.Run(name, func(t *testing.T) {
			var r Records = new(MemoryRecords)
			r = reopen(r)
			for _, changes := range [][]Record{
				{{"job/a", []byte("1")}, {"job/a/claims", []byte("2")}, {"job/b", []byte("3")}, {"ended/1", []byte("4")}},
				{{"job/a", []byte("5")}, {"job/b", nil}, {"never", nil}},
				{},
			} {
				if err := r.Write(changes...); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = reopen(r)
			if got := names(t, r, "job/"); !slices.Equal(got, []string{"job/a", "job/a/claims"}) {
				t.Errorf("records of jobs: %q", got)
			}
			all, _ := r.Read("")
			if len(all) != 3 || string(all["job/a"]) != "5" || string(all["ended/1"]) != "4" {
				t.Errorf("records: %q", all)
			}
		})
	}
}

// A database is opened whatever has become of its bytes, and what it then has is
// what was written.
func TestDamagedRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	d := open(t, path)
	for i := range 40 {
		key := fmt.Sprintf("job/%03d", i)
		if err := d.Write(Record{key, bytes.Repeat([]byte(key), 300)}, Record{key + "/claims", []byte(key)}); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 60 {
		bad := slices.Clone(sound)
		if rng.IntN(4) == 0 {
			bad = bad[:rng.IntN(len(bad))]
		} else {
			for range 1 + rng.IntN(3) {
				bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
			}
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := openDatabase(path, slog.New(slog.DiscardHandler))
		var newer *formatError
		if errors.As(err, &newer) {
			continue // the damage says so
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		found, err := d.Read("")
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for key, value := range found {
			short, _ := strings.CutSuffix(key, "/claims")
			if want := []byte(short); !bytes.Equal(value, want) && !bytes.Equal(value, bytes.Repeat(want, 300)) {
				t.Errorf("seed %d: %q has %.40q", seed, key, value)
			}
		}
		if err := d.Write(Record{"job/new", []byte("x")}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		d.Close()
	}
}

// A disk that was full when the file was to be begun leaves it empty: it is begun again.
func TestEmptyRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{nil, {"job/a"}} {
		d := open(t, path)
		if got := names(t, d, ""); !slices.Equal(got, want) {
			t.Errorf("records: %q, want %q", got, want)
		}
		if err := d.Write(Record{"job/a", []byte("1")}); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A process that is killed in the middle of writing leaves each transaction whole
// or not there, and everything that it has been told is written.
func TestRecordsOfAKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if os.Getenv("NODE_TEST_WRITES") != "" {
		d := open(t, os.Getenv("NODE_TEST_WRITES"))
		for i := 0; ; i++ {
			value := fmt.Append(nil, i)
			if err := d.Write(Record{"a", value}, Record{"b", bytes.Repeat(value, 2000)}, Record{"c", value}); err != nil {
				t.Fatal(err)
			}
			fmt.Println(i)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestRecordsOfAKilledProcess$")
	cmd.Env = append(os.Environ(), "NODE_TEST_WRITES="+path)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for last < 20 {
		if _, err := fmt.Fscan(out, &last); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Process.Kill()
	for { // what was written before it died
		if n := 0; func() bool { _, err := fmt.Fscan(out, &n); return err != nil }() {
			break
		} else {
			last = n
		}
	}
	cmd.Wait()
	all, err := open(t, path).Read("")
	if err != nil {
		t.Fatal(err)
	}
	var kept int
	if _, err := fmt.Sscan(string(all["a"]), &kept); err != nil || kept < last {
		t.Errorf("a is %q after %d was written", all["a"], last)
	}
	if !bytes.Equal(all["a"], all["c"]) || !bytes.Equal(all["b"], bytes.Repeat(all["a"], 2000)) {
		t.Error("half of a transaction is there")
	}
}

// BenchmarkRecords writes what a finished cell costs: a page of cells; and with it
// what a step may write beside it.
func BenchmarkRecords(b *testing.B) {
	for _, changes := range []int{1, 4} {
		b.Run(fmt.Sprint(changes), func(b *testing.B) {
			d := open(b, filepath.Join(b.TempDir(), "state.db"))
			page := make([]byte, 6000)
			for i := 0; b.Loop(); i++ {
				var records []Record
				for k := range changes {
					records = append(records, Record{fmt.Sprintf("job/%d/done/%d", k, i%100), page})
				}
				if err := d.Write(records...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a private mesh has is not there in another mesh, and is there again in it; what
// peers may do holds in all.
func TestPrivateRecords(t *testing.T) {
	h, err := openHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	studio, err := p2p.NewMesh("studio")
	if err != nil {
		t.Fatal(err)
	}
	other, err := p2p.NewMesh("studio")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []struct {
		mesh p2p.Mesh
		had  []string
	}{
		{studio, nil},
		{p2p.Mesh{Name: "studio"}, nil},
		{other, nil},
		{studio, []string{"job/a"}},
		{p2p.Mesh{Name: "home"}, []string{"job/a"}}, // open meshes have no secrets
	} {
		r, err := h.openRecords(in.mesh, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := names(t, r, "job/"); !slices.Equal(got, in.had) {
			t.Errorf("jobs in %v: %q, want %q", in.mesh, got, in.had)
		}
		if err := r.Write(Record{"job/a", []byte("1")}); err != nil {
			t.Error(err)
		}
		if err := r.Write(Record{"role/" + in.mesh.Name, []byte("blocked")}); err != nil {
			t.Error(err)
		}
		if got := names(t, r, "role/"); !slices.Contains(got, "role/studio") {
			t.Errorf("roles in %v: %q", in.mesh, got)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
