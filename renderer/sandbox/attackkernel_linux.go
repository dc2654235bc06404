// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

var onNetwork = []aim{
	{name: "connect to the node", denied: filtered, try: func(t *targets) error {
		conn, err := net.Dial("tcp", t.Listener)
		if err == nil {
			conn.Close()
		}
		return err
	}},
	socketAim("TCP socket", unix.AF_INET, unix.SOCK_STREAM),
	socketAim("TCP socket, IPv6", unix.AF_INET6, unix.SOCK_STREAM),
	socketAim("UDP socket", unix.AF_INET, unix.SOCK_DGRAM),
	socketAim("unix socket", unix.AF_UNIX, unix.SOCK_STREAM),
	socketAim("netlink socket", unix.AF_NETLINK, unix.SOCK_RAW),
	socketAim("packet socket", unix.AF_PACKET, unix.SOCK_RAW),
	socketAim("vsock socket", unix.AF_VSOCK, unix.SOCK_STREAM),
	socketAim("kernel crypto socket", unix.AF_ALG, unix.SOCK_SEQPACKET),
	{name: "datagram socket pair", denied: filtered, try: func(*targets) error {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err == nil {
			unix.Close(fds[0])
			unix.Close(fds[1])
		}
		return err
	}},
}

// onProcesses reach for other processes, or for a life without the node.
var onProcesses = []aim{
	{name: "trace the node", denied: noProc, try: func(t *targets) error {
		return try(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(t.Node))
	}},
	{name: "signal the node", denied: noProc, try: func(t *targets) error { return unix.Kill(t.Node, 0) }},
	{name: "signal the process above", denied: noProc, try: func(*targets) error {
		parent := os.Getppid()
		if parent == 0 {
			return unix.ESRCH // out of sight
		}
		return unix.Kill(parent, 0)
	}},
	// In Basic this says that it went well, whomever it has not reached.
	{name: "signal everybody", not: Basic, denied: noProc, try: func(*targets) error { return unix.Kill(-1, 0) }},
	{name: "have signals sent to the node", denied: filtered, try: func(t *targets) error {
		_, err := unix.FcntlInt(0, unix.F_SETOWN, t.Node)
		return err
	}},
	{name: "choose the node's processors", denied: noProc, try: func(t *targets) error {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(t.Node, &set); err != nil {
			return err
		}
		return unix.SchedSetaffinity(t.Node, &set)
	}},
	{name: "read the node's memory", denied: noProc, try: func(t *targets) error {
		one := make([]byte, 1)
		to, from := []unix.Iovec{{Base: &one[0], Len: 1}}, []unix.RemoteIovec{{Base: 1 << 22, Len: 1}} // something, or EFAULT
		_, err := unix.ProcessVMReadv(t.Node, to, from, 0)
		return err
	}},
	{name: "open the node's process", denied: noProc, try: func(t *targets) error { return try(unix.SYS_PIDFD_OPEN, uintptr(t.Node)) }},
	syscallAim("take another's descriptor", unix.SYS_PIDFD_GETFD, 0, 0, 0),
	{name: "limit the node", denied: noProc, try: func(t *targets) error {
		var old unix.Rlimit
		return unix.Prlimit(t.Node, unix.RLIMIT_NOFILE, nil, &old)
	}},
	// The first process leads its session and may not leave it; its children may.
	{name: "leave the session", denied: filtered, try: func(*targets) error { return callInChild(unix.SYS_SETSID) }},
	{name: "leave the process group", denied: filtered, try: func(*targets) error { return callInChild(unix.SYS_SETPGID) }},
	{name: "need: death with the node", need: true, try: func(*targets) error {
		var signal int32
		if err := unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&signal)), 0, 0, 0); err != nil {
			return err
		}
		if unix.Signal(signal) != unix.SIGKILL {
			return fmt.Errorf("signal %d is set", signal)
		}
		return nil
	}},
	{name: "outlive the node", denied: filtered, try: func(*targets) error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) }},
	syscallAim("raise the priority", unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, ^uintptr(9)),
	syscallAim("real-time scheduling", unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO, 0),
}

// onRights reach for namespaces, mounts and the rights of another.
var onRights = []aim{
	syscallAim("new user namespace", unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
	syscallAim("enter a namespace", unix.SYS_SETNS, ^uintptr(0), 0),
	// With CLONE_THREAD as well the kernel would refuse it anyway, so that an
	// open filter (EINVAL) starts no process here.
	syscallAim("clone into a namespace", unix.SYS_CLONE, unix.CLONE_NEWUSER|unix.CLONE_THREAD),
	syscallAim("clone3", unix.SYS_CLONE3, 0, 0),
	{name: "mount", denied: filtered, try: func(t *targets) error { return unix.Mount("none", t.Dirs.Tmp, "tmpfs", 0, "") }},
	{name: "unmount", denied: filtered, try: func(*targets) error { return unix.Unmount("/usr", unix.MNT_DETACH) }},
	{name: "open a tree", denied: filtered, try: func(*targets) error {
		_, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
		return err
	}},
	{name: "open a file system", denied: filtered, try: func(*targets) error { _, err := unix.Fsopen("tmpfs", 0); return err }},
	syscallAim("pivot_root", unix.SYS_PIVOT_ROOT, 0, 0),
	{name: "chroot", denied: filtered, try: func(t *targets) error { return unix.Chroot(t.Dirs.Tmp) }},
	syscallAim("setuid", unix.SYS_SETUID, 0),
	syscallAim("setresuid", unix.SYS_SETRESUID, 0, 0, 0),
	syscallAim("setgroups", unix.SYS_SETGROUPS, 0, 0),
	syscallAim("take capabilities", unix.SYS_CAPSET, 0, 0),
	{name: "have capabilities", denied: []error{unix.EPERM}, try: func(*targets) error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			return fmt.Errorf("capget: %v", err)
		}
		if data != [2]unix.CapUserData{} {
			return nil
		}
		return unix.EPERM
	}},
	{name: "gain rights by a program", denied: []error{unix.EPERM}, try: func(*targets) error {
		if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || on != 1 {
			return fmt.Errorf("no_new_privs is %d (%v): %w", on, err, errThrough)
		}
		return unix.EPERM
	}},
}

// onKernel are interfaces that jobs have no use for, and memory that no limit
// counts.
var onKernel = []aim{
	syscallAim("io_uring", unix.SYS_IO_URING_SETUP, 1, 0),
	syscallAim("bpf", unix.SYS_BPF, ^uintptr(0), 0, 0),
	syscallAim("add_key", unix.SYS_ADD_KEY, 0, 0, 0, 0, 0),
	syscallAim("keyctl", unix.SYS_KEYCTL, ^uintptr(0)),
	syscallAim("perf_event_open", unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0),
	syscallAim("userfaultfd", unix.SYS_USERFAULTFD, ^uintptr(0)),
	syscallAim("kernel log", unix.SYS_SYSLOG, 10),
	syscallAim("reboot", unix.SYS_REBOOT, 0, 0, 0),
	syscallAim("kexec_load", unix.SYS_KEXEC_LOAD, 0, ^uintptr(0), 0, 0),
	syscallAim("swapon", unix.SYS_SWAPON, 0, 0),
	syscallAim("acct", unix.SYS_ACCT, 0),
	syscallAim("quotactl", unix.SYS_QUOTACTL, 0, 0, 0, 0),
	syscallAim("init_module", unix.SYS_INIT_MODULE, 0, 0, 0),
	syscallAim("personality", unix.SYS_PERSONALITY, 0xffffffff),
	syscallAim("set the clock", unix.SYS_CLOCK_SETTIME, unix.CLOCK_REALTIME, 0),
	{name: "type into a terminal", denied: filtered, try: func(*targets) error {
		c := byte('x')
		return try(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
	}},

	{name: "memfd", denied: filtered, try: func(*targets) error { _, err := unix.MemfdCreate("x", 0); return err }},
	syscallAim("SysV shared memory", unix.SYS_SHMGET, 0, 4096, 0o1600),
	syscallAim("SysV semaphores", unix.SYS_SEMGET, 0, 1, 0o1600),
	syscallAim("SysV messages", unix.SYS_MSGGET, 0, 0o1600),
	syscallAim("POSIX messages", unix.SYS_MQ_OPEN, 0, 0, 0, 0),
	syscallAim("shared memory in no file", unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_ANON, ^uintptr(0), 0),
	{name: "shared memory by /dev/zero", denied: noFile, try: func(*targets) error {
		fd, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return try(unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_SHARED, uintptr(fd), 0)
	}},
	// None is taken until it is touched.
	syscallAim("huge pages", unix.SYS_MMAP, 0, 2<<20, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_HUGETLB|unix.MAP_NORESERVE, ^uintptr(0), 0),
}
