// SPDX-License-Identifier: MIT

package sandbox

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	maps.Copy(jobsByName, testJobs{
		"map": mapJob, "forks": forksJob, "bomb": bombJob, "open": openJob, "write": writeJob, "deep": deepJob,
		"relay": relayJob, "work": workJob, "signal": signalJob,
	})
}

// mapJob asks for that much address space.
func mapJob(args []string) error {
	size, _ := strconv.Atoi(args[0])
	_, err := unix.Mmap(-1, 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	return err
}

// forksJob starts processes until it gets no more.
func forksJob([]string) error {
	for {
		if _, err := fork(unix.SYS_PPOLL); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// bombJob has every process start others for ever.
//
//go:norace
func bombJob([]string) error {
	for {
		syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	}
}

func openJob([]string) error {
	for {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
			return err
		}
	}
}

// writeJob writes that many files of that many MiB.
func writeJob(args []string) error {
	files, _ := strconv.Atoi(args[0])
	size, _ := strconv.ParseInt(args[1], 10, 64)
	for i := range files {
		if err := fill(filepath.Join(os.Getenv("OUT"), strconv.Itoa(i)), size<<20); err != nil {
			return err
		}
	}
	return sleepJob(args)
}

// deepJob makes that many folders within each other, the last
// of which nobody may read.
func deepJob(args []string) error {
	depth, _ := strconv.Atoi(args[0])
	at, err := unix.Open(os.Getenv("OUT"), unix.O_PATH, 0)
	if err != nil {
		return err
	}
	for range depth {
		if err := unix.Mkdirat(at, "deep", 0o700); err != nil {
			return err
		}
		below, err := unix.Openat(at, "deep", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		unix.Close(at)
		at = below
	}
	unix.Fchmod(at, 0)
	return unix.Close(at)
}

// relayJob has short processes work one after another: none of them for long.
func relayJob(args []string) error {
	for {
		if err := exec.Command(os.Args[0], append([]string{testStage, "work"}, args...)...).Run(); err != nil {
			return err
		}
	}
}

func workJob([]string) error {
	for begin := time.Now(); time.Since(begin) < 100*time.Millisecond; {
	}
	return nil
}

// signalJob sends a signal to all that it can. That there is nobody is as good as
// that it may not.
func signalJob([]string) error {
	err := unix.Kill(-1, unix.SIGWINCH)
	if err != nil && err != unix.ESRCH && err != unix.EPERM {
		return err
	}
	return nil
}
