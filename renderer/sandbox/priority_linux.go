// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// lower is done from outside, as a job may not. A system that refuses even that is
// no reason to end one.
func (b *boxedProc) lower() {
	pid := b.firstProcess()
	unix.Setpriority(unix.PRIO_PROCESS, pid, lowest)
	const whoProcess, idleClass = 1, 3 << 13
	unix.RawSyscall(unix.SYS_IOPRIO_SET, whoProcess, uintptr(pid), idleClass)
	if b.tier != Basic { // where the session is the node's own
		lowerSession(pid)
	}
}

// lowest is the priority of others' jobs.
const lowest = 19

// lowerSession is for kernels that share processors among sessions first (autogroup):
// there the priority of a process counts within its session only.
func lowerSession(pid int) {
	path := "/proc/" + strconv.Itoa(pid) + "/autogroup"
	for range 5 {
		err := os.WriteFile(path, []byte(strconv.Itoa(lowest)), 0)
		if !errors.Is(err, unix.EAGAIN) {
			return
		}
		time.Sleep(100 * time.Millisecond) // the kernel takes ten in a second, from all of its users
	}
}
