// SPDX-License-Identifier: MIT

package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// A job that ends well takes with it whom it has left behind.
func TestEndIsComplete(t *testing.T) {
	forTiers(t, func(t *testing.T, tier Tier) {
		mark := newMark(t)
		p := startJob(t, t.Context(), tier, Limits{}, "leave", mark)
		awaitLines(t, p.Stdout(), familySize-1)
		p.Stdin().Close()
		if exit := p.Wait(); exit.Err() != nil {
			t.Errorf("ended as %+v", exit)
		}
		if n := alive(t, mark); n != 0 {
			t.Errorf("%d processes survive the job", n)
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
			node := exec.Command(os.Args[0], testStage, "node", string(tier), mark, scratch(t))
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
			await(t, "the end of all", func() bool { return alive(t, mark) == 0 })
			t.Logf("all gone after %v", time.Since(begin))
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

// The supervisor of a job in Basic may be killed, by a system out of memory or
// by its user: the job goes with it.
func TestSupervisorKilled(t *testing.T) {
	if !slices.Contains(boxedTiers, Basic) {
		t.Skip("no such tier here")
	}
	mark := newMark(t)
	p := startJob(t, t.Context(), Basic, Limits{}, "family", mark, "2")
	awaitLines(t, p.Stdout(), familySize)
	if err := p.box.(*boxedProc).cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.Wait()
	await(t, "the job's end", func() bool { return alive(t, mark) == 0 })
}

// Whenever a start or a job is broken off, nothing is left of it.
func TestKilledAtAnyTime(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for _, tier := range boxedTiers {
		for range 15 {
			after := time.Duration(random.Int64N(int64(60 * time.Millisecond)))
			ctx, cancel := context.WithTimeout(t.Context(), after)
			spec := Spec{Argv: []string{"/bin/sh", "-c", "while :; do /bin/sleep 0.01 & done"}, Scratch: scratch(t)}
			if p, err := Start(ctx, tier, spec); err == nil {
				p.Wait()
				p.Close()
			}
			cancel()
			if left := descendants(os.Getpid()); len(left) > 1 {
				t.Errorf("%s: %d processes left after %v (seed %d)", tier, len(left)-1, after, seed)
			}
			if _, err := os.Lstat(spec.Scratch); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: files left after %v (seed %d): %v", tier, after, seed, err)
			}
		}
	}
}

// A signal to everybody reaches nobody. It is one that others do not notice.
func TestSignalToEverybody(t *testing.T) {
	for _, tier := range boxedTiers {
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, syscall.SIGWINCH)
		exit := startJob(t, t.Context(), tier, Limits{}, "signal").Wait()
		if exit.Err() != nil {
			t.Errorf("%s: %v: %s", tier, exit.Err(), exit.Stderr)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil || <-heard == nil {
			t.Fatal("a signal from here is not heard")
		}
		select { // one from there would have come before
		case <-heard:
			t.Errorf("%s: the job's signal has come here", tier)
		default:
		}
		signal.Stop(heard)
	}
}

// await waits for a condition.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("%s: not within %v", what, time.Since(begin))
		}
	}
}

// All of it again, as a user without any rights.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 || raceDetector {
		t.Skip("is one, or cannot be")
	}
	dir, err := os.MkdirTemp("", "sandbox-test-") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	copySelf(t, dir+"/sandbox.test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(dir+"/tmp", 0o777), os.Chmod(dir+"/tmp", 0o777)); err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	cmd := exec.Command(dir+"/sandbox.test", "-test.v", "-test.timeout=10m")
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

// What the job is told is what it gets: its environment, folder, user, priority.
func TestInside(t *testing.T) {
	for _, tier := range boxedTiers {
		t.Run(string(tier), func(t *testing.T) {
			t.Setenv("SECRET", "of the node")
			script := "read go; echo $(/usr/bin/nice) $(/usr/bin/id -u) $(pwd) $HOME $TMPDIR $A $SECRET $(ulimit -c) $(/usr/bin/uname -n); echo $$"
			p, err := Start(t.Context(), tier, Spec{
				Argv: []string{"/bin/sh", "-c", script}, Env: []string{"A=b c"}, Scratch: scratch(t),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			p.Lower()
			if tier != Basic {
				first := p.box.(*boxedProc).firstProcess()
				if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", first)); err == nil && !strings.HasSuffix(string(text), " nice 19\n") {
					t.Errorf("its session is %q", text)
				}
			}
			p.Stdin().Close()
			p.Stdout().SetReadDeadline(time.Now().Add(10 * time.Second))
			text, err := io.ReadAll(p.Stdout())
			want := "19 1000 /tmp /tmp /tmp b c 0 sandbox\n1\n"
			if tier == Basic { // no other view of the host
				tmp, end := p.Dirs().Tmp, strings.LastIndex(string(text), " 0 ") // then host name and process id
				want = fmt.Sprintf("19 %s %s %[2]s %[2]s b c%s", userInBasic(t), tmp, text[max(0, end):])
			}
			if string(text) != want {
				t.Errorf("said %q, want %q; %v, %s", text, want, err, p.Stderr())
			}
		})
	}
}

// A job has no epoll, which the probe cannot show as it is in Go, and poll.
func TestNoEpoll(t *testing.T) {
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skip(err)
	}
	script := `import select, selectors
assert selectors.DefaultSelector is not getattr(selectors, "EpollSelector", None)
selectors.DefaultSelector().select(0)
try:
    select.epoll()
except PermissionError:
    raise SystemExit(7)`
	for _, tier := range boxedTiers {
		p, err := Start(t.Context(), tier, Spec{Argv: []string{python, "-I", "-c", script}, Scratch: scratch(t)})
		if err != nil {
			t.Fatal(err)
		}
		if exit := p.Wait(); exit.Code != 7 {
			t.Errorf("%s: ended as %+v: %s", tier, exit, exit.Stderr)
		}
		p.Close()
	}
}

// A job that may read a file of the host cannot keep others from it by a lock, and
// is told that it did.
func TestNoLocks(t *testing.T) {
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skip(err)
	}
	script := `import fcntl, sys
f = open(sys.argv[1])
fcntl.flock(f, fcntl.LOCK_EX)
fcntl.lockf(f, fcntl.LOCK_SH)
print("locked", flush=True)
sys.stdin.read()`
	dir := filepath.Dir(scratch(t))
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tier := range append(boxedTiers, Direct) {
		p, err := Start(t.Context(), tier, Spec{
			Argv: []string{python, "-I", "-c", script, name}, Runtime: Runtime{ReadOnly: []string{dir}}, Scratch: scratch(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		awaitLines(t, p.Stdout(), 1)
		file, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		whole := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		part := unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if in := tier == Direct; (whole != nil) != in || (part != nil) != in {
			t.Errorf("%s: the host's own locks: %v, %v", tier, whole, part)
		}
		file.Close()
		p.Close()
	}
}

// userInBasic is the number of the user as whom jobs run there.
func userInBasic(t *testing.T) string {
	user := os.Geteuid()
	if user == 0 {
		var err error
		if user, err = unusedUser(); err != nil {
			t.Fatal(err)
		}
	}
	return strconv.Itoa(user)
}

// A program that is not there is told at the start, not by silence.
func TestMissingProgram(t *testing.T) {
	for _, tier := range boxedTiers {
		p, err := Start(t.Context(), tier, Spec{Argv: []string{"/usr/bin/none-such"}, Scratch: scratch(t)})
		if p != nil || !errors.Is(err, os.ErrNotExist) && !strings.Contains(err.Error(), "/usr/bin/none-such: no such file") {
			t.Errorf("%s: %v", tier, err)
		}
	}
}

// Long arguments arrive whole, or are refused.
func TestLongOrders(t *testing.T) {
	for _, tier := range boxedTiers {
		long := strings.Repeat("x", 100<<10)
		p, err := Start(t.Context(), tier, Spec{Argv: []string{"/bin/sh", "-c", "exit $((${#A} / 1024))"}, Env: []string{"A=" + long}, Scratch: scratch(t)})
		if err != nil {
			t.Fatal(err)
		}
		if exit := p.Wait(); exit.Code != 100 {
			t.Errorf("%s: ended as %+v", tier, exit)
		}
		p.Close()
		if p, err := Start(t.Context(), tier, Spec{Argv: []string{"/bin/true"}, Env: []string{long, long}, Scratch: scratch(t)}); p != nil || err == nil {
			t.Errorf("%s: 200 KiB of environment were taken", tier)
		}
	}
}
