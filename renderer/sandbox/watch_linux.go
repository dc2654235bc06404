// SPDX-License-Identifier: MIT

package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A job of four processes that allocated as fast as they could went 340 MiB over
// a limit in 100 ms. New processes are looked for less often, as that takes 4 ms
// on a machine with 150 processes.
const (
	watchInterval  = 200 * time.Millisecond
	looksPerSearch = 5
)

// watched is a folder in memory with its limit of files.
type watched struct {
	root  *os.Root
	files int64
}

// watch ends a job that goes over what no kernel limit holds: memory of all its
// processes together, and the number of files where bubblewrap made the folders.
func (b *boxedProc) watch(end func(error), done <-chan struct{}) {
	var folders []*os.File
	for _, s := range b.spaces {
		f, err := s.root.Open(".")
		if err != nil {
			continue // closed already: the job is over
		}
		defer f.Close()
		folders = append(folders, f)
	}
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	var family []int
	for look := 0; ; look++ {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		for i, f := range folders {
			var stat unix.Statfs_t
			if err := unix.Fstatfs(int(f.Fd()), &stat); err == nil && int64(stat.Files-stat.Ffree) > b.spaces[i].files+1 {
				end(ErrFiles)
			}
		}
		if look%looksPerSearch == 0 || sum(family, residentSize) > b.memory/2 {
			family = descendants(b.pid)
		}
		// Forks share most of what they hold, so their resident sizes add up to
		// several times the truth. The proportional ones are right, but slow.
		if sum(family, residentSize) > b.memory && sum(family, proportionalSize) > b.memory {
			end(ErrMemory)
		}
	}
}

func sum(family []int, size func(pid int) int64) int64 {
	var total int64
	for _, pid := range family {
		total += size(pid)
	}
	return total
}

// descendants returns a process and all below it. Orphans of a sandbox become
// children of its first process, so none is missed.
func descendants(first int) []int {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	children := make(map[int][]int)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if parent := parentOf(name); parent > 0 {
				children[parent] = append(children[parent], pid)
			}
		}
	}
	family := []int{first}
	for i := 0; i < len(family); i++ {
		family = append(family, children[family[i]]...)
	}
	return family
}

// parentOf reads the fourth field of stat. The second is a name in parentheses
// that may hold anything.
func parentOf(pid string) int {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}

func residentSize(pid int) int64 {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

func proportionalSize(pid int) int64 {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pss:")); ok {
			kib, _ := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return kib << 10
		}
	}
	return residentSize(pid) // gone, or not readable: rather too much than nothing
}
