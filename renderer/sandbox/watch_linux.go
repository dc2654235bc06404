// SPDX-License-Identifier: MIT

package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// watchInterval is how often a job is looked at. A job of four processes that
// allocated as fast as they could went 340 MiB over a limit in 100 ms.
const watchInterval = 200 * time.Millisecond

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
	for {
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
		if memoryOver(b.pid, b.memory) {
			end(ErrMemory)
		}
	}
}

// memoryOver reports whether the process and its descendants hold more than
// limit bytes. Forks share most of what they hold, so their resident sizes add
// up to several times the truth; the proportional ones are right, and slow, and
// are read only when the sum is over.
func memoryOver(first int, limit int64) bool {
	var resident int64
	family := descendants(first)
	for _, pid := range family {
		resident += residentSize(pid)
	}
	if resident <= limit {
		return false
	}
	var held int64
	for _, pid := range family {
		held += proportionalSize(pid)
	}
	return held > limit
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
