// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// leashFD is a pipe of which only the node has the other end.
const leashFD = 4

// superviseStage stands between the node and a job in Basic. No namespace ends
// that job's processes there: the supervisor is the parent of them all, also of
// orphans, outside of their process group and of their Landlock domain, so they
// can neither leave it nor signal it.
const superviseStage = "meshnode-sandbox-supervise"

// supervise starts the confine stage and ends when every process below it is
// gone, with the job's exit code. When the leash's other end is closed, by the
// node or by its death, it ends them all.
func supervise() error {
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP) // its end is the node's to decide
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("subreaper: %w", err)
	}
	unix.CloseOnExec(leashFD)
	pid, err := syscall.ForkExec(thisProgram, []string{confineStage}, &syscall.ProcAttr{
		Dir:   "/",
		Files: []uintptr{0, 1, 2, controlFD},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	// The job's streams end with the job, not with this process.
	if null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		for fd := range 3 {
			unix.Dup3(null, fd, unix.O_CLOEXEC)
		}
	}
	unix.Close(controlFD)

	p := pack{leader: pid}
	go func() {
		for buf := make([]byte, 1); ; {
			if n, err := unix.Read(leashFD, buf); n == 0 || err != nil && err != unix.EINTR {
				break
			}
		}
		for { // until this process ends: one that was being born may have been missed
			p.kill()
			time.Sleep(10 * time.Millisecond)
		}
	}()
	status := p.bury()
	if status.Signaled() {
		os.Exit(128 + int(status.Signal()))
	}
	os.Exit(status.ExitStatus())
	return nil
}

// pack is the process group of a job. Its number is its own as long as one of
// its processes has not been waited for.
type pack struct {
	leader int
	mu     sync.Mutex // guards gone; held while one is waited for
	gone   bool
}

func (p *pack) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		unix.Kill(-p.leader, unix.SIGKILL)
	}
}

// bury waits for all processes, ends what is left after the first one, and
// returns how that ended.
func (p *pack) bury() (leader unix.WaitStatus) {
	for {
		var info unix.Siginfo
		switch err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil); err {
		case nil:
		case unix.EINTR:
			continue
		default:
			return leader // ECHILD: no more
		}
		pid := pidOf(&info)
		if pid == p.leader {
			p.kill()
		}
		p.mu.Lock()
		var status unix.WaitStatus
		unix.Wait4(pid, &status, 0, nil)
		if pid == p.leader {
			leader = status
		}
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		p.gone = err == unix.ECHILD
		p.mu.Unlock()
	}
}

// pidOf reads si_pid, the first field behind the three numbers and a gap.
func pidOf(info *unix.Siginfo) int {
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), 16)))
}
