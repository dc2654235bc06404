// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// basicLandlock is the version of Landlock that Basic needs: from then on (Linux
// 6.12) it keeps signals in.
const basicLandlock = 6

// spareProcesses is room for what else the user starts while a job runs in
// Basic, where the kernel's limit counts all that he has. The job's own limit is
// watched.
const spareProcesses = 256

// onHost is what a job in Basic has on the host.
type onHost struct {
	leash   *os.File // closing it has the supervisor end the job
	scratch string   // folder of its folders
}

func (h *onHost) free() error {
	if h.leash != nil {
		h.leash.Close()
	}
	if h.scratch == "" {
		return nil
	}
	return removeAll(h.scratch)
}

// prepareBasic orders no namespaces: the job runs beside the node's own
// processes, in folders of the host, under Landlock and seccomp alone.
func (s *start) prepareBasic(v view) (*exec.Cmd, error) {
	dirs, err := makeDirs(s.spec.Scratch)
	s.scratch = s.spec.Scratch
	if err != nil {
		return nil, fmt.Errorf("no scratch folder: %w", err)
	}
	user := os.Geteuid()
	if s.owner != 0 {
		user = s.owner
		for _, dir := range []string{s.spec.Scratch, dirs.In, dirs.Out, dirs.Tmp} {
			if err := os.Chown(dir, s.owner, s.owner); err != nil {
				return nil, err
			}
		}
	}
	free, err := freeBytes(s.spec.Scratch)
	if err == nil && free < diskFloor {
		err = fmt.Errorf("%d MiB are free at %s, %d are needed: make room", free>>20, s.spec.Scratch, int64(diskFloor)>>20)
	}
	if err != nil {
		return nil, err
	}
	s.dirs, s.order.Basic, s.order.Become = dirs, true, s.owner
	s.order.Limits.Processes += tasksOf(user) + spareProcesses

	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.leash = w
	s.give(r) // leashFD
	return &exec.Cmd{Path: thisProgram, Args: []string{superviseStage}, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}, nil
}

// tasksOf counts the processes and threads of a user, as far as they can be seen
// to be his.
func tasksOf(user int) int {
	var n int64
	for _, pid := range processes() {
		var stat unix.Stat_t
		if unix.Stat("/proc/"+strconv.Itoa(pid), &stat) == nil && int(stat.Uid) == user {
			n += tasks(pid)
		}
	}
	return int(n)
}

// roomToFork raises a limit on processes until one more can be made, and returns
// it: some of the user's may be out of sight, in other containers. Beyond the
// user's own limit it does not go.
func roomToFork(limit int) (int, error) {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &now); err != nil {
		return 0, fmt.Errorf("limit of processes: %w", err)
	}
	for ; uint64(limit) < now.Max; limit *= 2 {
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: uint64(limit), Max: now.Max}); err != nil {
			return 0, fmt.Errorf("limit of processes: %w", err)
		}
		pid, err := fork(unix.SYS_GETPID)
		if err == nil {
			unix.Wait4(pid, nil, 0, nil)
			return limit, nil
		}
		if !errors.Is(err, unix.EAGAIN) {
			return 0, fmt.Errorf("fork: %w", err)
		}
	}
	return int(now.Max), nil
}

// freeBytes returns what this user may still write where path is.
func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}
