// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// machine is an architecture that the filter knows.
type machine struct {
	audit  uint32         // AUDIT_ARCH_ value in seccomp_data
	x32    bool           // its numbers may carry the x32 bit
	number func(call) int // absent if it lacks the call
}

var machines = map[string]machine{
	"amd64": {unix.AUDIT_ARCH_X86_64, true, func(c call) int { return c.amd64 }},
	"arm64": {unix.AUDIT_ARCH_AARCH64, false, func(c call) int { return c.arm64 }},
}

// Offsets in struct seccomp_data. Both architectures are little-endian, so the
// low half of an argument comes first.
const (
	offNumber = 0
	offArch   = 4
)

func offArg(i int) uint32 { return uint32(16 + 8*i) }

// x32Bit is set in the numbers of the x32 ABI, which this filter does not know.
const x32Bit = 0x40000000

// newNamespaces are clone's CLONE_NEW flags: NS, CGROUP, UTS, IPC, USER, PID and
// NET. CLONE_NEWTIME is below them, in the byte of clone's exit signal.
const newNamespaces = 0x7e020000

const (
	retAllow = unix.SECCOMP_RET_ALLOW
	retKill  = unix.SECCOMP_RET_KILL_PROCESS
	retPerm  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	retNoSys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	retNoSup = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOTSUP)
	retSkip  = unix.SECCOMP_RET_ERRNO | uint32(0) // the call is not made, and says that it was
)

// Options that a job may pass; others get EPERM, as TIOCSTI would.
var (
	ioctls = []uint32{
		0x5401, // TCGETS: is it a terminal?
		0x5413, // TIOCGWINSZ
		0x541b, // FIONREAD
		0x5421, // FIONBIO
		0x5450, // FIONCLEX
		0x5451, // FIOCLEX
	}
	// Not PR_SET_DUMPABLE: the node looks at the job's memory and descriptors.
	prctls = []uint32{unix.PR_GET_PDEATHSIG, unix.PR_GET_DUMPABLE, unix.PR_SET_NAME, unix.PR_GET_NAME,
		unix.PR_GET_SECCOMP, unix.PR_CAPBSET_READ, unix.PR_SET_TIMERSLACK, unix.PR_GET_TIMERSLACK,
		unix.PR_SET_NO_NEW_PRIVS, unix.PR_GET_NO_NEW_PRIVS, unix.PR_GET_TID_ADDRESS,
		unix.PR_SET_THP_DISABLE, unix.PR_GET_THP_DISABLE, unix.PR_SET_VMA}
	// Not F_SETOWN and F_SETSIG, which send signals; F_SETLEASE and F_NOTIFY, which
	// delay and watch others; F_SETPIPE_SZ, which takes from what a user may have.
	fcntls = []uint32{unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL,
		unix.F_GETLK, unix.F_OFD_GETLK, unix.F_GETPIPE_SZ, unix.F_GETOWN, unix.F_GET_SEALS}
	// A file that can be read can be locked, and its owner would wait for the job. All
	// files that a job can write to are its own: it goes on without a lock.
	fcntlLocks = []uint32{unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_SETLK, unix.F_OFD_SETLKW}
)

// program is a classic BPF program under construction. All jumps are short ones
// forward, over code appended in the same method: each block ends in a return.
type program []unix.SockFilter

func (p *program) add(code uint16, k uint32, jt, jf uint8) {
	*p = append(*p, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

func (p *program) load(offset uint32) { p.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset, 0, 0) }

func (p *program) ret(action uint32) { p.add(unix.BPF_RET|unix.BPF_K, action, 0, 0) }

// unless runs the next n instructions if the accumulator differs from k.
func (p *program) unless(k uint32, n uint8) { p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, n, 0) }

// when runs the next n instructions if the accumulator is k.
func (p *program) when(k uint32, n uint8) { p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 0, n) }

// block appends what happens for one call number. It must end in a return.
func (p *program) block(number int, body program) {
	if number != absent {
		p.when(uint32(number), uint8(len(body)))
		*p = append(*p, body...)
	}
}

// oneOf appends: allow if the accumulator is one of the values, else EPERM.
func (p *program) oneOf(values []uint32) {
	for _, v := range values {
		p.when(v, 1)
		p.ret(retAllow)
	}
	p.ret(retPerm)
}

// filter makes the seccomp program for a machine. Arguments of type int are
// compared by their low 32 bits, which is all that the kernel looks at.
//
// hostFiles: the job is the node's user and sees the host's files. Landlock keeps
// it from their contents, but not from chmod and the like. These then do nothing
// and say that they did: programs copy modes and times by the way, and would fail
// over an error.
//
// poller: the job is a program in Go, as the probe is, whose runtime cannot do
// without epoll.
func filter(m machine, hostFiles, poller bool) []unix.SockFilter {
	var p program
	p.load(offArch)
	p.unless(m.audit, 1)
	p.ret(retKill)
	p.load(offNumber)
	if m.x32 {
		p.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, x32Bit, 0, 1)
		p.ret(retKill)
	}

	// Threads and forks, but no namespaces. The flags of clone3 are behind a
	// pointer: libraries fall back to clone at ENOSYS.
	var clone program
	clone.load(offArg(0))
	clone.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, newNamespaces, 0, 1)
	clone.ret(retPerm)
	clone.ret(retAllow)
	p.block(m.number(callClone), clone)
	p.block(m.number(callClone3), program{{Code: unix.BPF_RET | unix.BPF_K, K: retNoSys}})

	var ioctl program
	ioctl.load(offArg(1))
	ioctl.oneOf(ioctls)
	p.block(m.number(callIoctl), ioctl)

	// A job may ask to be killed with its parent, not to survive it.
	var prctl program
	prctl.load(offArg(0))
	prctl.when(unix.PR_SET_PDEATHSIG, 4)
	prctl.load(offArg(1))
	prctl.when(uint32(unix.SIGKILL), 1)
	prctl.ret(retAllow)
	prctl.ret(retPerm)
	prctl.oneOf(prctls)
	p.block(m.number(callPrctl), prctl)

	// Its own limits only, which it cannot raise, and its own processors.
	var own program
	own.load(offArg(0))
	own.oneOf([]uint32{0})
	p.block(m.number(callPrlimit64), own)
	p.block(m.number(callAffinity), own)

	var fcntl program
	fcntl.load(offArg(1))
	for _, v := range fcntlLocks {
		fcntl.when(v, 1)
		fcntl.ret(retSkip)
	}
	fcntl.oneOf(fcntls)
	p.block(m.number(callFcntl), fcntl)
	p.block(m.number(callFlock), program{{Code: unix.BPF_RET | unix.BPF_K, K: retSkip}})

	// What is shared and in no file stays when the processes let go of its pages, and
	// huge pages are in no figure of theirs: the limit of memory would see neither.
	var mmap program
	mmap.load(offArg(3))
	mmap.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, unix.MAP_HUGETLB, 0, 1)
	mmap.ret(retPerm)
	mmap.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, unix.MAP_SHARED|unix.MAP_ANONYMOUS, 0, 0)
	mmap.when(unix.MAP_SHARED|unix.MAP_ANONYMOUS, 1) // MAP_SHARED_VALIDATE has its bit
	mmap.ret(retPerm)
	mmap.ret(retAllow)
	p.block(m.number(callMmap), mmap)

	// A stream pair connects two processes of the job. A datagram pair could
	// send to any address.
	var pair program
	pair.load(offArg(0))
	pair.unless(unix.AF_UNIX, 1)
	pair.ret(retPerm)
	pair.load(offArg(1))
	pair.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0xf, 0, 0) // above are flags
	pair.oneOf([]uint32{unix.SOCK_STREAM})
	p.block(m.number(callSocketpair), pair)

	if hostFiles {
		for _, c := range changesByName {
			p.block(m.number(c), program{{Code: unix.BPF_RET | unix.BPF_K, K: retSkip}})
		}
		for _, c := range attributesByName {
			p.block(m.number(c), program{{Code: unix.BPF_RET | unix.BPF_K, K: retNoSup}})
		}
	}

	if poller {
		for _, c := range epollByName {
			p.block(m.number(c), program{{Code: unix.BPF_RET | unix.BPF_K, K: retAllow}})
		}
	}

	for _, run := range runs(m) {
		p.add(unix.BPF_JMP|unix.BPF_JGT|unix.BPF_K, run.last, 3, 0)
		p.add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, run.first, 0, 1)
		p.ret(retAllow)
		p.ret(retPerm) // between two runs
	}
	p.add(unix.BPF_JMP|unix.BPF_JGT|unix.BPF_K, lastKnown, 0, 1)
	p.ret(retNoSys)
	p.ret(retPerm)
	return p
}

// run is a run of allowed numbers, both ends in it.
type run struct{ first, last uint32 }

// runs returns the allowed numbers of a machine in ascending runs.
func runs(m machine) []run {
	var numbers []uint32
	for _, c := range allowed {
		if n := m.number(c); n != absent {
			numbers = append(numbers, uint32(n))
		}
	}
	slices.Sort(numbers)
	var rs []run
	for _, n := range numbers {
		if len(rs) > 0 && rs[len(rs)-1].last+1 == n {
			rs[len(rs)-1].last = n
			continue
		}
		rs = append(rs, run{n, n})
	}
	return rs
}

// installFilter puts the calling thread, and what it starts or becomes, under
// the filter. It needs no_new_privs.
func installFilter(prog []unix.SockFilter) error {
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&fprog))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}
