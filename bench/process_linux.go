// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"meshnode/e2e/lan"
)

// ticksPerSecond is the unit of CPU times in /proc: USER_HZ, 100 on every
// architecture of Linux that Go runs on.
const ticksPerSecond = 100

// environment is what the programs get.
var environment = sync.OnceValue(func() []string {
	home := filepath.Join(os.TempDir(), "user")
	if err := os.MkdirAll(home, 0o700); err != nil {
		panic(err)
	}
	return append(os.Environ(), "HOME="+home, "PYTHONHASHSEED=0", "MESHNODE_HOME=", "XDG_CONFIG_HOME=", "XDG_CACHE_HOME=")
})

// place is a computer of a network, or, when nil, this one.
type place struct {
	network  *lan.Network
	computer int
}

// command returns a command of meshnode at that place.
func command(at *place, args ...string) *exec.Cmd {
	cmd := at.command(program(), args...)
	cmd.Env = environment()
	return cmd
}

func (at *place) command(name string, args ...string) *exec.Cmd {
	if at == nil {
		return exec.Command(name, args...)
	}
	return at.network.Command(at.computer, name, args...)
}

// cost is what a run took.
type cost struct{ wall, cpu float64 } // seconds

// run runs a command to its end and returns what it took. The CPU time is that
// of the command, of all it started, and of nodes that run meanwhile.
func run(cmd *exec.Cmd) (cost, error) {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	begun, before := time.Now(), spent()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%q: %w\n%s", cmd.Args, err, &said)
	}
	return cost{time.Since(begun).Seconds(), spent() - before}, nil
}

// adopt makes this process the parent of what its children leave behind: else
// spent would lose sight of that.
func adopt() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// reapTime bounds the wait for what a command has left behind.
const reapTime = 30 * time.Second

// reap waits until no child is left.
func reap() error {
	for deadline := time.Now().Add(reapTime); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if errors.Is(err, syscall.ECHILD) {
				return nil
			}
			if pid <= 0 {
				break
			}
		}
	}
	return fmt.Errorf("a node has not ended within %v", reapTime)
}

// spent returns the CPU seconds of all descendants so far, ended or not.
func spent() float64 {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		panic(err) // of a wrong argument
	}
	return cpuOf(os.Getpid()) - time.Duration(own.Utime.Nano()+own.Stime.Nano()).Seconds()
}

// stat is one process as /proc shows it.
type stat struct {
	id, parent int
	cpu        float64 // seconds, with those of the children it has waited for
}

// tree returns a process and all that descend from it.
func tree(root int) []stat {
	children := make(map[int][]stat)
	var found []stat
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range entries {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		id, _ := strconv.Atoi(strings.Split(name, "/")[2])
		after := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(after) < 15 {
			continue
		}
		s := stat{id: id}
		s.parent, _ = strconv.Atoi(after[1])
		for _, ticks := range after[11:15] { // utime, stime, cutime, cstime
			t, _ := strconv.ParseFloat(ticks, 64)
			s.cpu += t / ticksPerSecond
		}
		if id == root {
			found = append(found, s)
		}
		children[s.parent] = append(children[s.parent], s)
	}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i].id]...)
	}
	return found
}

// cpuOf returns the CPU seconds of a process tree, up to now.
func cpuOf(root int) float64 {
	sum := 0.0
	for _, s := range tree(root) {
		sum += s.cpu
	}
	return sum
}

// memoryOf returns the memory of the processes of a tree other than the root,
// in bytes, each shared page counted once (PSS), and how many they are.
func memoryOf(root int) (pss uint64, processes int) {
	for _, s := range tree(root) {
		if s.id == root {
			continue
		}
		kib, _, _ := strings.Cut(field(fmt.Sprintf("/proc/%d/smaps_rollup", s.id), "Pss"), " ")
		if n, err := strconv.ParseUint(kib, 10, 64); err == nil {
			pss += n << 10
			processes++
		}
	}
	return pss, processes
}
