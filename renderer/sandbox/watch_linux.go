// SPDX-License-Identifier: MIT

package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"slices"
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

// watched is a folder with its limits.
type watched struct {
	root  *os.Root
	space Space
}

// watch ends a job that goes over what no kernel limit holds: memory, processor
// time and number of all its processes together, and its folders where they are
// not file systems with limits of their own.
func (b *boxedProc) watch(end func(error), done <-chan struct{}) {
	if b.tier == Basic {
		go b.watchFolders(end, done)
	}
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	var family []int
	var kernel int64 // of its memory, in bytes
	var records mappings
	for look := 0; ; look++ {
		select {
		case <-done:
			b.limits.Shared.ended(b, b.inMemory())
			return
		case <-tick.C:
		}
		if b.tier != Basic {
			if b.tooManyFiles() {
				end(ErrFiles)
			}
		} else if free, err := freeBytes(b.scratch); err == nil && free < diskFloor/2 {
			end(ErrDisk)
		}
		resident := sum(family, residentSize)
		if look%looksPerSearch == 0 || resident > b.limits.Memory/2 {
			family = descendants(b.pid)
			resident = sum(family, residentSize)
			if b.tier == Basic && sum(family[1:], tasks) > int64(b.limits.Processes) { // but the supervisor
				end(ErrProcesses)
			}
			buffers, err := b.buffers(family)
			if err != nil {
				end(err)
			}
			if look%looksPerSearch == 0 {
				records = records.look(family)
			}
			kernel = buffers + records.size()
		}
		// Forks share most of what they hold, so their resident sizes add up to
		// several times the truth. The proportional ones are right, but slow.
		most := b.limits.Memory - kernel
		if resident > most && sum(family, proportionalSize) > most {
			end(ErrMemory)
		}
		beside := kernel + b.inMemory()
		if b.limits.Shared.exceeded(b, beside+resident, func() int64 { return beside + sum(family, proportionalSize) }) {
			end(ErrMemory)
		}
		if b.limits.CPU > 0 && time.Duration(sum(family, processorTime)) >= b.limits.CPU {
			end(ErrCPU)
		}
	}
}

// tooManyFiles looks at folders that are file systems in memory.
func (b *boxedProc) tooManyFiles() bool {
	for _, w := range b.spaces {
		if stat, err := statOfSpace(w.root); err == nil && int64(stat.Files-stat.Ffree) > w.space.Files+1 {
			return true
		}
	}
	return false
}

// inMemory returns the bytes of the folders that are file systems in memory.
func (b *boxedProc) inMemory() (bytes int64) {
	if b.tier == Basic {
		return 0
	}
	for _, w := range b.spaces {
		if stat, err := statOfSpace(w.root); err == nil {
			bytes += int64(stat.Blocks-stat.Bfree) * stat.Bsize
		}
	}
	return bytes
}

// statOfSpace describes the file system of a folder. It fails when that is closed: the
// job is over.
func statOfSpace(root *os.Root) (stat unix.Statfs_t, err error) {
	f, err := root.Open(".")
	if err != nil {
		return stat, err
	}
	defer f.Close()
	return stat, unix.Fstatfs(int(f.Fd()), &stat)
}

// buffers returns the bytes that pipes and sockets of the job may hold. It has a network
// of its own, or what waits in a socket to be received may be a socket. An error ends it.
func (b *boxedProc) buffers(family []int) (bytes int64, err error) {
	if b.tier == Basic {
		family = family[1:] // but the supervisor
	}
	o := openedBy(family)
	sockets := int64(len(o.sockets)) + o.sent
	if b.tier != Basic {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(b.pid) + "/net/sockstat")
		fmt.Sscanf(string(text), "sockets: used %d", &sockets)
	}
	if len(o.pipes) > mostPipes {
		err = ErrPipes
	} else if o.sent > mostSent {
		err = ErrSent
	}
	return sockets*socketSize + int64(len(o.pipes))*pipeSize, err
}

func sum(family []int, size func(pid int) int64) int64 {
	var total int64
	for _, pid := range family {
		total += size(pid)
	}
	return total
}

// descendants returns a process and all below it. Orphans of a sandbox become
// children of its first process, or of its supervisor, so none is missed.
func descendants(first int) []int {
	children := make(map[int][]int)
	for _, pid := range processes() {
		if parent := int(statOf(pid, statParent)[0]); parent > 0 {
			children[parent] = append(children[parent], pid)
		}
	}
	family := []int{first}
	for i := 0; i < len(family); i++ {
		family = append(family, children[family[i]]...)
	}
	return family
}

// processes returns the numbers of all that can be seen.
func processes() []int {
	var pids []int
	for _, name := range namesIn("/proc") {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Fields of /proc/PID/stat, counted from the one behind the name.
const (
	statParent       = 1
	statUser         = 11 // time in clock ticks, of which there are 100 in a second
	statSystem       = 12
	statWaitedUser   = 13 // of children that were waited for
	statWaitedSystem = 14
	statThreads      = 17
)

// statOf reads fields of a process. They are 0 if it is gone. The name before
// them is in parentheses, and may hold anything.
func statOf(pid int, fields ...int) []int64 {
	values := make([]int64, len(fields))
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return values
	}
	all := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	for i, field := range fields {
		if field < len(all) {
			values[i], _ = strconv.ParseInt(string(all[field]), 10, 64)
		}
	}
	return values
}

func tasks(pid int) int64 { return statOf(pid, statThreads)[0] }

// processorTime is in nanoseconds.
func processorTime(pid int) int64 {
	var ticks int64
	for _, n := range statOf(pid, statUser, statSystem, statWaitedUser, statWaitedSystem) {
		ticks += n
	}
	return ticks * int64(time.Second/100)
}

// Lines of /proc/PID/status and smaps_rollup that make up what a process holds. A
// process that read a byte in each 2 MiB of 5.4 GiB had 11 MiB of page tables, and no
// memory.
var (
	linesResident     = []string{"VmRSS", "VmSwap", "VmPTE"}
	linesProportional = []string{"Pss", "SwapPss"}
	linesTables       = []string{"VmPTE"}
)

// residentSize is in bytes. All that share memory are told the whole of it.
func residentSize(pid int) int64 { return sizeOf(pid, "status", linesResident) }

// proportionalSize is that with a part of what is shared. It takes longer.
func proportionalSize(pid int) int64 {
	if size := sizeOf(pid, "smaps_rollup", linesProportional); size > 0 {
		return size + sizeOf(pid, "status", linesTables)
	}
	return residentSize(pid) // gone, or not readable: rather too much than nothing
}

func sizeOf(pid int, file string, names []string) (size int64) {
	ofMemory(pid, file, func(text []byte) bool {
		size = sumIn(text, names) << 10
		return size > 0
	})
	return size
}

// sumIn adds up what lines of these names tell, in KiB where they tell sizes.
func sumIn(text []byte, names []string) (sum int64) {
	for line := range bytes.Lines(text) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		if slices.Contains(names, string(name)) {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(rest, []byte(" kB\n")))), 10, 64)
			sum += n
		}
	}
	return sum
}

// What the kernel keeps of each mapping, in bytes, and of how many processes they are
// counted in a search: it takes 2 ms for the 1,300 of a Manim. Measured: 65,414, nearly as
// many as a process may have, took 15 MiB.
const (
	mappingSize      = 256
	countedPerSearch = 2
)

// mappings are those of processes as they were counted last, the oldest count first.
type mappings []mapped

type mapped struct {
	pid    int
	number int64
}

// look counts those of some processes, each in its turn.
func (m mappings) look(family []int) mappings {
	m = slices.DeleteFunc(m, func(p mapped) bool { return !slices.Contains(family, p.pid) })
	for _, pid := range family {
		if !slices.ContainsFunc(m, func(p mapped) bool { return p.pid == pid }) {
			m = append(m, mapped{pid: pid})
		}
	}
	for range min(countedPerSearch, len(m)) {
		first := mapped{pid: m[0].pid}
		ofMemory(first.pid, "maps", func(text []byte) bool {
			first.number = int64(bytes.Count(text, []byte("\n")))
			return first.number > 0
		})
		m = append(m[1:], first)
	}
	return m
}

// size is in bytes.
func (m mappings) size() (bytes int64) {
	for _, p := range m {
		bytes += p.number * mappingSize
	}
	return bytes
}

// threadTries is how often the threads of a process are listed until one has lived
// long enough to be looked at.
const threadTries = 20

// ofMemory reads a file in /proc about the memory of a process until it has told
// something: that of the first thread, which may have ended and then shows none,
// or that of any other, as all share the same.
func ofMemory(pid int, name string, told func(text []byte) bool) {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	if text, err := os.ReadFile(dir + name); err == nil && told(text) {
		return
	}
	for range threadTries {
		if tasks(pid) < 2 { // only its zombie is left
			return
		}
		threads, _ := os.ReadDir(dir + "task")
		for _, thread := range threads {
			if text, err := os.ReadFile(dir + "task/" + thread.Name() + "/" + name); err == nil && told(text) {
				return
			}
		}
	}
}
