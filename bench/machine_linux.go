// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// describeMachine prints what the figures depend on.
func describeMachine(python string) error {
	versions, err := exec.Command(python, "-c", "import platform, manim, av, numpy\n"+
		"print('Python', platform.python_version() + ', Manim', manim.__version__ + ', PyAV', av.__version__ + ', numpy', numpy.__version__)").Output()
	if err != nil {
		return fmt.Errorf("%s: %w", python, err)
	}
	commit, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("Measured %s: %s, %d cores, Linux %s (%s); %s; meshnode %s, %s. Load before: %s.\n",
		time.Now().Format(time.DateOnly), field("/proc/cpuinfo", "model name"), runtime.NumCPU(),
		trim(kernel), field("/proc/meminfo", "MemTotal"), trim(versions), trim(commit), runtime.Version(), trim(load[:min(14, len(load))]))
	return nil
}

func trim(b []byte) string { return strings.TrimSpace(string(b)) }

// field returns the value of the first line "key : value" of a file in /proc.
func field(file, key string) string {
	f, err := os.Open(file)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}
