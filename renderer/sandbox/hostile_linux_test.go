// SPDX-License-Identifier: MIT

package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newMark marks the processes of one test among all of the machine.
func newMark(t *testing.T) string {
	return fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(t.Name(), "/", "-"), os.Getpid(), time.Now().UnixNano())
}

// alive counts the processes that have a mark among their arguments.
func alive(t *testing.T, mark string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatal("no processes to be seen:", err)
	}
	n := 0
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && bytes.Contains(text, []byte(mark)) {
			n++
		}
	}
	return n
}

// awaitLines reads n lines from r.
func awaitLines(t *testing.T, r *os.File, n int) {
	t.Helper()
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	lines := bufio.NewReader(r)
	for range n {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
}

const familySize = 1 + 2 + 4

func TestKillIsComplete(t *testing.T) {
	forTiers(t, func(t *testing.T, tier Tier) {
		mark := newMark(t)
		p := startJob(t, t.Context(), tier, Limits{}, "family", mark, "2")
		awaitLines(t, p.Stdout(), familySize)
		if n := alive(t, mark); n < familySize {
			t.Fatalf("%d processes run, want %d", n, familySize)
		}
		exit := p.Kill()
		if n := alive(t, mark); n != 0 {
			t.Errorf("%d processes survive Kill", n)
		}
		if !errors.Is(exit.Err(), ErrKilled) {
			t.Errorf("ended as %+v", exit)
		}
	})
}

// A node that is killed leaves nothing behind.
func TestNodeKilled(t *testing.T) {
	for _, tier := range boxedTiers {
		t.Run(string(tier), func(t *testing.T) {
			mark := newMark(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			node := exec.Command(os.Args[0], testStage, "node", string(tier), mark)
			node.Stdout, node.Stderr = w, os.Stderr
			if err := node.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			defer node.Process.Kill()
			awaitLines(t, r, familySize)
			if n := alive(t, mark); n < familySize+1 {
				t.Fatalf("%d processes run, want %d", n, familySize+1)
			}
			node.Process.Kill()
			node.Wait()
			begin := time.Now()
			for alive(t, mark) > 0 {
				if time.Since(begin) > 10*time.Second {
					t.Fatalf("%d processes survive the node", alive(t, mark))
				}
				time.Sleep(time.Millisecond)
			}
			t.Logf("all gone after %v", time.Since(begin))
		})
	}
}

func TestLimitsEndJob(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name   string
		limits Limits
		job    []string
		want   error
		direct bool // heeded there too
	}{
		{"wall", Limits{Wall: 300 * time.Millisecond}, []string{"spin"}, ErrTime, true},
		{"stderr", Limits{Stderr: 4 * mib}, []string{"print"}, ErrStderr, true},
		{"memory", Limits{Memory: 200 * mib}, []string{"hold", strconv.Itoa(100 * mib), "4"}, ErrMemory, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			forTiers(t, func(t *testing.T, tier Tier) {
				if tier == Direct && !test.direct {
					t.Skip("not limited")
				}
				exit := startJob(t, t.Context(), tier, test.limits, test.job...).Wait()
				if !errors.Is(exit.Err(), test.want) {
					t.Errorf("ended as %v, want %v; stderr: %.300s", exit.Err(), test.want, exit.Stderr)
				}
				if test.name == "wall" && exit.CPU == 0 {
					t.Errorf("used no CPU: %+v", exit)
				}
				if len(exit.Stderr) > tailSize {
					t.Errorf("%d bytes of stderr kept", len(exit.Stderr))
				}
			})
		})
	}
}

// A job within its limit of shared memory is not ended for the sum of what each
// process maps.
func TestMemoryWithinLimit(t *testing.T) {
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

func TestTooManyFiles(t *testing.T) {
	for _, tier := range boxedTiers {
		t.Run(string(tier), func(t *testing.T) {
			p := startJob(t, t.Context(), tier, Limits{Out: Space{1 << 20, 100}}, "files", "5000")
			exit := p.Wait()
			full := strings.Contains(string(exit.Stderr), syscall.ENOSPC.Error())
			if !errors.Is(exit.Err(), ErrFiles) && !full {
				t.Errorf("ended as %v: %s", exit.Err(), exit.Stderr)
			}
			if full {
				names, err := p.Out().FS().(interface {
					ReadDir(string) ([]os.DirEntry, error)
				}).ReadDir(".")
				if len(names) != 100 || err != nil {
					t.Errorf("%d files made, want 100 (%v)", len(names), err)
				}
			}
		})
	}
}

func TestContextEndsJob(t *testing.T) {
	forTiers(t, func(t *testing.T, tier Tier) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := startJob(t, ctx, tier, Limits{}, "spin")
		cause := errors.New("enough")
		cancel(cause)
		if exit := p.Wait(); !errors.Is(exit.Err(), cause) {
			t.Errorf("ended as %v", exit.Err())
		}
	})
}

// All of it again, as a user without any rights.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 || raceDetector {
		t.Skip("is one, or cannot be")
	}
	dir, err := os.MkdirTemp("", "sandbox-test-") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/sandbox.test", program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(dir+"/tmp", 0o777), os.Chmod(dir+"/tmp", 0o777)); err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	cmd := exec.Command(dir+"/sandbox.test", "-test.v", "-test.timeout=2m")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir + "/tmp", "TMPDIR=" + dir + "/tmp", "MESHNODE_PYTHON=" + os.Getenv("MESHNODE_PYTHON_NOBODY")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	text, err := cmd.CombinedOutput()
	if testing.Verbose() || err != nil {
		t.Logf("%s", text)
	}
	if err != nil {
		t.Error(err)
	}
}

// What the job is told is what it gets: its environment, folder, priority, user.
func TestInside(t *testing.T) {
	for _, tier := range boxedTiers {
		t.Run(string(tier), func(t *testing.T) {
			t.Setenv("SECRET", "of the node")
			script := "echo $(/usr/bin/nice) $(/usr/bin/id -u) $(pwd) $HOME $TMPDIR $A $SECRET $(ulimit -c) $(/usr/bin/uname -n); echo $$"
			p, err := Start(t.Context(), tier, Spec{
				Argv: []string{"/bin/sh", "-c", script}, Env: []string{"A=b c"}, Dir: "/out", Limits: Limits{Nice: 19},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			p.Stdout().SetReadDeadline(time.Now().Add(10 * time.Second))
			text, err := io.ReadAll(p.Stdout())
			if want := "19 1000 /out /tmp /tmp b c 0 sandbox\n1\n"; string(text) != want {
				t.Errorf("said %q, want %q; %v, %s", text, want, err, p.Stderr())
			}
		})
	}
}

// A program that is not there is told at the start, not by silence.
func TestMissingProgram(t *testing.T) {
	for _, tier := range boxedTiers {
		p, err := Start(t.Context(), tier, Spec{Argv: []string{"/usr/bin/none-such"}})
		if p != nil || !errors.Is(err, os.ErrNotExist) && !strings.Contains(err.Error(), "/usr/bin/none-such: no such file") {
			t.Errorf("%s: %v", tier, err)
		}
	}
}

// Long arguments arrive whole, or are refused.
func TestLongOrders(t *testing.T) {
	for _, tier := range boxedTiers {
		long := strings.Repeat("x", 100<<10)
		p, err := Start(t.Context(), tier, Spec{Argv: []string{"/bin/sh", "-c", "exit $((${#A} / 1024))"}, Env: []string{"A=" + long}})
		if err != nil {
			t.Fatal(err)
		}
		if exit := p.Wait(); exit.Code != 100 {
			t.Errorf("%s: ended as %+v", tier, exit)
		}
		p.Close()
		if p, err := Start(t.Context(), tier, Spec{Argv: []string{"/bin/true"}, Env: []string{long, long}}); p != nil || err == nil {
			t.Errorf("%s: 200 KiB of environment were taken", tier)
		}
	}
}
