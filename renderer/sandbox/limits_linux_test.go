// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
		{"memory that no process shows", Limits{Memory: 60 * mib}, []string{"shared", "", strconv.Itoa(64 * mib)}, nil, syscallErrors{unix.EPERM}},
		{"memory of a device", Limits{Memory: 60 * mib}, []string{"shared", "/dev/zero", strconv.Itoa(64 * mib)}, nil, syscallErrors{unix.ENOENT, unix.EACCES}},
		{"memory of the kernel", Limits{Memory: 60 * mib}, []string{"buffers", "150"}, ErrMemory, nil},
		{"page tables", Limits{Memory: 60 * mib, AddressSpace: 64 << 30}, []string{"tables", "40"}, ErrMemory, nil},
		{"mappings", Limits{Memory: 45 * mib}, []string{"mappings", "3"}, ErrMemory, nil},
		{"pipes", Limits{}, []string{"pipes", "200"}, ErrPipes, nil},
		{"pipes of a process whose first thread has ended", Limits{}, []string{"headless-pipes", "200"}, ErrPipes, nil},
		{"descriptors sent", Limits{}, []string{"send", "100"}, ErrSent, nil},
		{"address space", Limits{AddressSpace: 8192 * mib}, []string{"map", strconv.Itoa(9000 * mib)}, nil, syscallErrors{unix.ENOMEM}},
		{"processes", Limits{Processes: 30}, []string{"forks", "60"}, ErrProcesses, syscallErrors{unix.EAGAIN}},
		{"open files", Limits{OpenFiles: 30}, []string{"open", "60"}, nil, syscallErrors{unix.EMFILE}},
		{"one file", Limits{FileSize: mib}, []string{"write", "1", "2"}, nil, syscallErrors{unix.EFBIG}},
		{"bytes of out", Limits{Out: Space{4 * mib, 100}}, []string{"write", "8", "1"}, ErrBytes, syscallErrors{unix.ENOSPC}},
		{"files of out", Limits{Out: Space{mib, 100}}, []string{"write", "200", "0"}, ErrFiles, syscallErrors{unix.ENOSPC}},
		{"bytes of in", Limits{In: Space{4 * mib, 100}}, []string{"write-in", "8", "1"}, ErrBytes, syscallErrors{unix.ENOSPC}},
		{"files of in", Limits{In: Space{mib, 100}}, []string{"write-in", "200", "0"}, ErrFiles, syscallErrors{unix.ENOSPC}},
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

// syscallErrors are refusals that a job may print.
type syscallErrors []unix.Errno

func (errnos syscallErrors) in(exit Exit) bool {
	for _, errno := range errnos {
		if strings.Contains(string(exit.Stderr), errno.Error()) {
			return true
		}
	}
	return false
}

// A fork bomb comes to its limit, and no further; in Basic it is ended there.
func TestForkBomb(t *testing.T) {
	t.Parallel()
	const most = 30
	for _, tier := range boxedTiers {
		t.Run(string(tier), func(t *testing.T) {
			t.Parallel()
			mark := newMark(t)
			p := startJob(t, t.Context(), tier, Limits{Processes: most, Wall: 30 * time.Second}, "bomb", mark)
			p.Lower() // as scenes are: else it takes the node long to look
			p.Stdin().Close()
			seen := func() int64 { return sum(descendants(p.box.(*boxedProc).firstProcess()), tasks) }
			if tier == Basic {
				if exit := p.Wait(); !errors.Is(exit.Err(), ErrProcesses) {
					t.Errorf("ended as %v", exit.Err())
				}
			} else {
				await(t, "the limit", func() bool { return seen() >= most })
				time.Sleep(watchInterval) // for more to come
				if n := seen(); n != most {
					t.Errorf("%d processes and threads, want %d", n, most)
				}
				if exit := p.Kill(); !errors.Is(exit.Err(), ErrKilled) {
					t.Errorf("ended as %v", exit.Err())
				}
			}
			if n := alive(t, mark); n > 0 {
				t.Errorf("%d processes are left", n)
			}
		})
	}
}

// What the kernel holds by itself is set, for the job's first process and so for all.
func TestLimitsOfTheKernel(t *testing.T) {
	for _, tier := range boxedTiers {
		limits := Limits{Processes: 40, OpenFiles: 50, FileSize: 6 << 20, AddressSpace: 7 << 30, CPU: 8 * time.Second}
		p := startJob(t, t.Context(), tier, limits, "sleep")
		first := fmt.Sprintf("/proc/%d/", p.box.(*boxedProc).firstProcess())
		text, err := os.ReadFile(first + "limits")
		if err != nil {
			t.Fatal(err)
		}
		wants := map[string]string{
			"pending signals": "1024", "locked memory": "0", "msgqueue size": "0", "core file size": "1",
			"open files": "50", "file size": "6291456", "address space": "7516192768", "cpu time": "9", "processes": "40",
		}
		if tier == Basic {
			delete(wants, "processes") // with those of the user
		}
		for name, want := range wants {
			_, rest, _ := strings.Cut(string(text), "Max "+name)
			if fields := strings.Fields(rest); len(fields) < 2 || fields[0] != want || fields[1] != want {
				t.Errorf("%s: %s is %.2q, want %s", tier, name, fields, want)
			}
		}
		if text, err := os.ReadFile(first + "oom_score_adj"); string(text) != "1000\n" {
			t.Errorf("%s: ended for want of memory at %q (%v)", tier, text, err)
		}
		p.Close()
	}
}

// Where the disk is full no job starts in Basic, and where it becomes so it ends.
func TestDiskFloor(t *testing.T) {
	if !slices.Contains(boxedTiers, Basic) || os.Geteuid() != 0 {
		t.Skip("no such tier here, or no right to mount a small disk")
	}
	dir := filepath.Dir(scratch(t))
	if err := unix.Mount("none", dir, "tmpfs", 0, "mode=755,size="+strconv.Itoa(diskFloor+10<<20)); err != nil {
		t.Skip("no small disk: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	take := func(name string, size int64) {
		f, err := os.Create(filepath.Join(dir, name))
		if err == nil {
			err = errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, size), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	start := func() (*Proc, error) {
		return Start(t.Context(), Basic, Spec{Argv: []string{"/bin/sleep", "30"}, Scratch: filepath.Join(dir, "job")})
	}
	p, err := start()
	if err != nil {
		t.Fatal(err)
	}
	take("half", diskFloor/2+20<<20)
	if exit := p.Wait(); !errors.Is(exit.Err(), ErrDisk) {
		t.Errorf("ended as %v", exit.Err())
	}
	p.Close()
	if p, err := start(); p != nil || err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("started, %v", err)
	}
}

// The limit on processes of Basic grows until there is room for one more of the
// user's, but not beyond what the user may have.
func TestRoomToFork(t *testing.T) {
	program := scratch(t)
	copySelf(t, program)
	for _, most := range []string{"", "2"} {
		cmd := exec.Command(program, testStage, "room", most)
		if os.Geteuid() == 0 { // whom the kernel does not count
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		text, err := cmd.CombinedOutput()
		n, parseErr := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || parseErr != nil || (n < 4) != (most != "") {
			t.Errorf("of %q: %q, %v", most, text, err)
		}
	}
}

// What the kernel tells of a process is added up: also what is swapped out.
func TestSumIn(t *testing.T) {
	const status = "Name:\tVmSwap\nVmSize:\t 9000 kB\nVmRSS:\t    1756 kB\nRssAnon:\t     116 kB\nVmPTE:\t      48 kB\nVmSwap:\t 1048576 kB\n"
	const rollup = "55fbaf218000-7fffbb6d2000 ---p 00000000 00:00 0    [rollup]\nRss:      1768 kB\nPss:       261 kB\nPss_Anon:  112 kB\nSwap:      300 kB\nSwapPss:   100 kB\n"
	for _, test := range []struct {
		text  string
		names []string
		want  int64
	}{
		{status, linesResident, 1756 + 48 + 1<<20},
		{rollup, linesProportional, 261 + 100},
		{"Name:\tzombie\nThreads:\t1\n", linesResident, 0},
		{"ino:\t15250473\nscm_fds: 3\n", linesSent, 3},
		{"VmRSS", linesResident, 0},
		{"VmRSS:", linesResident, 0},
	} {
		if got := sumIn([]byte(test.text), test.names); got != test.want {
			t.Errorf("%q of %q is %d, want %d", test.names, test.text, got, test.want)
		}
	}
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
