// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/p2p"
	"meshnode/renderer/synthetic"
)

var soakFlag = flag.Int("soak", 0, "number of jobs of TestSoak")

// spent is what a process has of the machine.
type spent struct {
	goroutines, descriptors, files int
	heap                           float64 // MiB
	disk                           int64   // bytes
}

func measure(t *testing.T, dir string) (s spent) {
	t.Helper()
	for range 20 { // connections and timers of the last job end a little later
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	s.goroutines, s.heap = runtime.NumGoroutine(), float64(mem.HeapAlloc)/(1<<20)
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		s.descriptors = len(entries)
	}
	if err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				s.files++
				s.disk += info.Size()
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSoak has a submitter and a worker do many jobs, and compares what they have of the
// machine after ten of them, and after all.
func TestSoak(t *testing.T) {
	if *soakFlag == 0 {
		t.Skip("no -soak")
	}
	m := newMesh(t)
	dir := t.TempDir()
	scratch := filepath.Join(dir, "scratch")
	if err := os.Mkdir(scratch, 0o700); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for i := range 2 {
		home := filepath.Join(dir, fmt.Sprint(i))
		h, err := openHome(home)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		records, err := h.openRecords(p2p.Mesh{}, log)
		if err != nil {
			t.Fatal(err)
		}
		m.join(&synthetic.Renderer{}, uint32(i), func(p *Parts) {
			p.Records, p.Log = records, log
			p.Renderer.(*synthetic.Renderer).Scratch = scratch
			if p.Store, err = blockstore.NewDisk(h.path("blocks"), m.loop.Join(p.Network.Self())); err == nil {
				p.Journal, err = h.openJournal(p.Network.Self(), "test")
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	m.settle()
	req, path := m.scene(demo, 0)
	var early spent
	begin := time.Now()
	for i := range *soakFlag {
		var got events
		m.nodes[0].Publish(m.t.Context(), req, got.add)
		if data, err := os.ReadFile(path); got.last().Event != "finished" || err != nil || !bytes.Equal(data, film(demo)) {
			t.Fatalf("job %d ended with %+v (%v)", i, got.last(), err)
		}
		if i == 9 {
			early = measure(t, dir)
		}
	}
	late := measure(t, dir)
	t.Logf("%d jobs in %v", *soakFlag, time.Since(begin).Round(time.Second))
	t.Logf("after 10:  %+v", early)
	t.Logf("after all: %+v", late)
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("%d folders of engines are left (%v)", len(left), err)
	}
	if late.goroutines > early.goroutines+10 || late.descriptors > early.descriptors+5 || late.heap > early.heap+20 {
		t.Error("something grows with the number of jobs")
	}
	for _, n := range m.nodes {
		owners, err := n.parts.Store.Owners(t.Context())
		if jobs := n.schedulerJobs(); err != nil || len(jobs) > 0 || len(owners) > 0 {
			t.Errorf("%d jobs are open, blocks are kept for %v (%v)", len(jobs), owners, err)
		}
	}
}
