// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Each limit in each tier: it ends the job with its reason, or the kernel refuses
// the job what is over it. Without the limit the job ends well.
func TestLimits(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	tests := []struct {
		name   string
		limits Limits
		job    []string
		want   error         // why the job is ended, or
		errno  syscallErrors // what it is refused
	}{
		{"wall time", Limits{Wall: 200 * time.Millisecond}, []string{"work", "300ms"}, ErrTime, nil},
		{"printing", Limits{Stderr: 4 * mib}, []string{"print", "20"}, ErrStderr, nil},
		{"processor time", Limits{CPU: 100 * time.Millisecond}, []string{"work", "400ms"}, ErrCPU, nil},
		{"processor time of short processes", Limits{CPU: 100 * time.Millisecond}, []string{"relay", "6"}, ErrCPU, nil},
		{"memory", Limits{Memory: 120 * mib}, []string{"hold", strconv.Itoa(60 * mib), "4"}, ErrMemory, nil},
		{"memory of a process whose first thread has ended", Limits{Memory: 120 * mib}, []string{"headless", strconv.Itoa(300 * mib)}, ErrMemory, nil},
		{"memory of the kernel", Limits{Memory: 60 * mib}, []string{"buffers", "150"}, ErrMemory, nil},
		{"address space", Limits{AddressSpace: 8192 * mib}, []string{"map", strconv.Itoa(9000 * mib)}, nil, syscallErrors{unix.ENOMEM}},
		{"processes", Limits{Processes: 30}, []string{"forks", "60"}, ErrProcesses, syscallErrors{unix.EAGAIN}},
		{"a fork bomb", Limits{Processes: 30, Wall: 500 * time.Millisecond}, []string{"bomb"}, ErrProcesses, syscallErrors{unix.ETIME}},
		{"open files", Limits{OpenFiles: 30}, []string{"open", "60"}, nil, syscallErrors{unix.EMFILE}},
		{"one file", Limits{FileSize: mib}, []string{"write", "1", "2"}, nil, syscallErrors{unix.EFBIG}},
		{"bytes of out", Limits{Out: Space{4 * mib, 100}}, []string{"write", "8", "1"}, ErrBytes, syscallErrors{unix.ENOSPC}},
		{"files of out", Limits{Out: Space{mib, 100}}, []string{"write", "200", "0"}, ErrFiles, syscallErrors{unix.ENOSPC}},
		{"bytes of in", Limits{In: Space{4 * mib, 100}}, []string{"write-in", "8", "1"}, ErrBytes, syscallErrors{unix.ENOSPC}},
		{"bytes of tmp", Limits{Tmp: Space{4 * mib, 100}}, []string{"write-tmp", "8", "1"}, ErrBytes, syscallErrors{unix.ENOSPC}},
		{"files of tmp", Limits{Tmp: Space{mib, 100}}, []string{"write-tmp", "200", "0"}, ErrFiles, syscallErrors{unix.ENOSPC}},
		{"bytes in a closed folder", Limits{Out: Space{4 * mib, 100}}, []string{"closed", "8", "1"}, ErrBytes, syscallErrors{unix.ENOSPC}},
		{"files in a closed folder", Limits{Out: Space{mib, 100}}, []string{"closed", "200", "0"}, ErrFiles, syscallErrors{unix.ENOSPC}},
		{"depth of out", Limits{Out: Space{64 * mib, 200}}, []string{"deep", "400"}, ErrFiles, syscallErrors{unix.ENOSPC}},
	}
	forTiers(t, func(t *testing.T, tier Tier) {
		t.Parallel()
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				mark := newMark(t)
				if tier == Direct {
					if test.name == "a fork bomb" {
						return // not where nothing holds it
					}
					if exit := startJob(t, t.Context(), tier, Limits{}, append(test.job, mark)...).Wait(); exit.Err() != nil {
						t.Errorf("without the limit: %v: %.300s", exit.Err(), exit.Stderr)
					}
					return
				}
				if test.limits.Wall == 0 {
					test.limits.Wall = 30 * time.Second
				}
				exit := startJob(t, t.Context(), tier, test.limits, append(test.job, mark)...).Wait()
				ended := test.want != nil && errors.Is(exit.Err(), test.want)
				if !ended && !test.errno.in(exit) {
					t.Errorf("ended as %v, want %v or %v; stderr: %.300s", exit.Err(), test.want, test.errno, exit.Stderr)
				}
				if n := alive(t, mark); n > 0 {
					t.Errorf("%d processes are left", n)
				}
				if test.name == "wall time" && exit.CPU == 0 {
					t.Errorf("used no CPU: %+v", exit)
				}
				if len(exit.Stderr) > tailSize {
					t.Errorf("%d bytes of stderr kept", len(exit.Stderr))
				}
			})
		}
	})
}

// syscallErrors are refusals that a job may print. ETIME stands for one that goes
// on until its time is over.
type syscallErrors []unix.Errno

func (errnos syscallErrors) in(exit Exit) bool {
	for _, errno := range errnos {
		if errno == unix.ETIME && errors.Is(exit.Err(), ErrTime) || strings.Contains(string(exit.Stderr), errno.Error()) {
			return true
		}
	}
	return false
}

// A job within its limit of shared memory is not ended for the sum of what each
// process maps.
func TestMemoryWithinLimit(t *testing.T) {
	t.Parallel()
	if len(boxedTiers) == 0 {
		t.Skip("no sandbox here")
	}
	p := startJob(t, t.Context(), boxedTiers[0], Limits{Memory: 400 << 20}, "hold", strconv.Itoa(50<<20), "4")
	select {
	case <-p.Done():
		t.Errorf("ended as %v: %s", p.Wait().Err(), p.Stderr())
	case <-time.After(4 * watchInterval): // the time itself is under test
	}
}

// Where the node counts, a folder that is never where it was read is counted all
// the same, or ends the job.
func TestRestlessFolder(t *testing.T) {
	t.Parallel()
	if !slices.Contains(boxedTiers, Basic) {
		t.Skip("no such tier here")
	}
	exit := startJob(t, t.Context(), Basic, Limits{Out: Space{4 << 20, 100}, Wall: 30 * time.Second}, "restless", "8").Wait()
	if err := exit.Err(); !errors.Is(err, ErrBytes) && !errors.Is(err, ErrCount) {
		t.Errorf("ended as %v; stderr: %.300s", err, exit.Stderr)
	}
}

// In Own a file system counts the files, to the last one.
func TestFilesToTheLast(t *testing.T) {
	if len(boxedTiers) == 0 || boxedTiers[0] != Own {
		t.Skip("no such tier here")
	}
	p := startJob(t, t.Context(), Own, Limits{Out: Space{1 << 20, 100}}, "write", "200", "0")
	p.Wait()
	if names, err := fs.ReadDir(p.Out().FS(), "."); len(names) != 100 || err != nil {
		t.Errorf("%d files made, want 100 (%v)", len(names), err)
	}
}

// What a job leaves on the host goes, however deep and closed it is.
func TestRemoveDeepFolders(t *testing.T) {
	t.Parallel()
	top := t.TempDir() + "/top"
	if err := os.Mkdir(top, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := makeDeep(top, 900); err != nil { // longer than a path may be
		t.Fatal(err)
	}
	if err := removeAll(top); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(top); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if err := removeAll(top); err != nil {
		t.Errorf("nothing to remove: %v", err)
	}
}
