// SPDX-License-Identifier: MIT

package sandbox

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the kernel bounds for a user, so for all jobs together, and the node where it is
// that user: once 1,024 pipes are open new ones hold 8 KiB, not 64, and once more
// descriptors are on their way through sockets than a process may have open, it can send
// none. Measured: Manim's engine has 3 pipes, and no descriptor that waits.
const (
	mostPipes = 128
	mostSent  = 64
)

// Bytes of the kernel's memory that a job can fill by a pipe and by a socket that nobody
// reads: the usual limit, and for a socket half of it for the kernel's own records.
// Measured: 316 KiB.
const (
	pipeSize   = 64 << 10
	socketSize = 320 << 10
)

// opened is what the processes of a job have open.
type opened struct {
	pipes, sockets map[string]bool // by the links to them
	sent           int64           // descriptors that wait in these sockets to be received
}

// openedBy lists what processes have open. Each of their threads may have descriptors of
// its own, and the first may have ended.
func openedBy(family []int) *opened {
	o := &opened{pipes: make(map[string]bool), sockets: make(map[string]bool)}
	for _, pid := range family {
		dir := "/proc/" + strconv.Itoa(pid) + "/task/"
		for _, thread := range namesIn(dir) {
			if o.add(dir+thread) == unix.EACCES && os.Geteuid() == 0 {
				asOwner(dir+thread, func() { o.add(dir + thread) })
			}
		}
	}
	return o
}

// add adds what a thread has open, and returns why that cannot be told.
func (o *opened) add(thread string) (denied error) {
	dir := thread + "/fd/"
	var buf [64]byte // what is longer is a file
	for _, fd := range namesIn(dir) {
		n, err := unix.Readlink(dir+fd, buf[:])
		if err != nil {
			denied = err
			continue
		}
		switch link := string(buf[:n]); {
		case strings.HasPrefix(link, "pipe:"):
			o.pipes[link] = true
		case strings.HasPrefix(link, "socket:") && !o.sockets[link]:
			o.sockets[link] = true
			if text, err := os.ReadFile(thread + "/fdinfo/" + fd); err == nil {
				o.sent += sumIn(text, linesSent)
			}
		}
	}
	return denied
}

// becoming is held while a thread is another user: that closes /proc/self to this process,
// which is opened again afterwards.
var becoming sync.Mutex

// asOwner runs f as the user whose a file is. The root of a container may lack the right
// to look into the processes of others (CAP_SYS_PTRACE), and may become them. That user
// cannot signal or trace the thread meanwhile: its real and saved numbers stay root's.
func asOwner(file string, f func()) {
	var stat unix.Stat_t
	if unix.Stat(file, &stat) != nil || stat.Uid == 0 {
		return
	}
	const same = ^uintptr(0)
	become := func(uid, gid uint32) bool { // raw: this thread alone
		_, _, e1 := syscall.RawSyscall(unix.SYS_SETRESGID, same, uintptr(gid), same)
		_, _, e2 := syscall.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same)
		return e1 == 0 && e2 == 0
	}
	gid := uint32(os.Getegid())
	becoming.Lock()
	defer becoming.Unlock()
	open, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	runtime.LockOSThread()
	if become(stat.Uid, stat.Gid) {
		f()
	}
	if become(0, gid) {
		runtime.UnlockOSThread()
	} // else the thread ends with its goroutine
	unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(open), 0, 0, 0)
}

// linesSent is of /proc/PID/fdinfo/N.
var linesSent = []string{"scm_fds"}

// namesIn lists a folder in any order. One that is gone is empty.
func namesIn(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	return names
}
