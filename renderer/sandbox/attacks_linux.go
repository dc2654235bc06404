// SPDX-License-Identifier: MIT

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aim is one attack, or one thing that a job needs. try returns nil if it got
// through. An attack is denied only by one of the errors of denied: another one,
// EINVAL say, may mean that the attack itself was wrong.
type aim struct {
	name   string
	need   bool
	denied []error
	try    func(t *targets) error
}

// The usual errors of a filter, of a missing or unreadable file, of a process
// that cannot be seen.
var (
	filtered = []error{unix.EPERM, unix.ENOSYS}
	noFile   = []error{unix.ENOENT, unix.EACCES, unix.EPERM}
	noWrite  = []error{unix.EROFS, unix.EACCES, unix.EPERM, unix.ENOENT}
	noProc   = []error{unix.EPERM, unix.ESRCH}
)

var errThrough = errors.New("got through")

// attackAll is the probe: a job that tries each attack and prints what came of
// it. Never call it outside a sandbox.
func attackAll() {
	var t targets
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	encoder := json.NewEncoder(os.Stdout)
	for _, a := range attacks {
		if err := encoder.Encode(a.run(&t)); err != nil {
			os.Exit(1)
		}
	}
}

func (a *aim) run(t *targets) Result {
	err := a.try(t)
	r := Result{Name: a.name, Detail: "allowed"}
	if err != nil {
		r.Detail = err.Error()
	}
	if a.need {
		r.Passed = err == nil
		return r
	}
	for _, d := range a.denied {
		if errors.Is(err, d) {
			r.Passed = true
		}
	}
	return r
}

// try makes a raw system call and returns its error.
func try(number uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

// syscallAim is an attack by one system call. Its arguments would be refused as
// wrong, or do no harm, if the call were allowed.
func syscallAim(name string, number uintptr, args ...uintptr) aim {
	return aim{name: name, denied: filtered, try: func(*targets) error { return try(number, args...) }}
}

func socketAim(name string, domain, kind int) aim {
	return aim{name: name, denied: filtered, try: func(*targets) error {
		fd, err := unix.Socket(domain, kind, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}}
}

func readAim(name, path string) aim {
	return aim{name: name, denied: noFile, try: func(*targets) error { return read(path) }}
}

// read opens a file or lists a folder.
func read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_, err = f.Readdirnames(-1)
		return err
	}
	_, err = f.Read(make([]byte, 1))
	return err
}

// write makes or opens a file for writing; in a folder, a new one.
func write(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, ".meshnode-probe")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		f.Close()
		os.Remove(path)
	}
	return err
}

// anyOf returns nil if one of the attempts got through, else the last error
// that is none of the denials, else the last error.
func anyOf(denied []error, paths []string, attempt func(string) error) error {
	last := error(unix.ENOENT)
	for _, p := range paths {
		err := attempt(p)
		if err == nil {
			return nil
		}
		known := false
		for _, d := range denied {
			known = known || errors.Is(err, d)
		}
		if last = err; !known {
			return err
		}
	}
	return last
}

var attacks = []aim{
	{"need: write in, out, tmp", true, nil, func(*targets) error {
		for _, dir := range []string{inside.In, inside.Out, inside.Tmp} {
			if err := os.WriteFile(dir+"/a", []byte("a"), 0o600); err != nil {
				return err
			}
			if err := os.Rename(dir+"/a", dir+"/b"); err != nil {
				return err
			}
			if err := os.Remove(dir + "/b"); err != nil {
				return err
			}
		}
		return nil
	}},
	{"need: stream socket pair", true, nil, func(*targets) error {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fds[0])
		defer unix.Close(fds[1])
		return unix.Sendmsg(fds[0], []byte("x"), unix.UnixRights(0), nil, 0)
	}},
	{"need: fork and run a program", true, nil, func(*targets) error {
		return (&exec.Cmd{Path: "/" + probeStage, Args: []string{probeStage, "leave"}}).Run()
	}},

	// Files.
	{"read the node's secrets", false, noFile, func(t *targets) error { return anyOf(noFile, t.Secret, read) }},
	readAim("read /etc/shadow", "/etc/shadow"),
	readAim("read /etc/passwd", "/etc/passwd"),
	{"list homes", false, noFile, func(*targets) error {
		return anyOf(noFile, []string{"/home", "/root", "/mnt", "/media", "/srv"}, read)
	}},
	readAim("list processes", "/proc"),
	{"list /sys, /run", false, noFile, func(*targets) error {
		return anyOf(noFile, []string{"/sys", "/run", "/var/run", "/dev/shm", "/dev/pts"}, read)
	}},
	{"read the node's environment and memory", false, noFile, func(t *targets) error {
		node := fmt.Sprintf("/proc/%d/", t.Node)
		return anyOf(noFile, []string{node + "environ", node + "mem", "/proc/1/environ", "/proc/self/environ"}, read)
	}},
	{"write to the runtime", false, noWrite, func(t *targets) error { return anyOf(noWrite, t.ReadOnly, write) }},
	{"write to /, /etc, /dev, /var", false, noWrite, func(*targets) error {
		return anyOf(noWrite, []string{"/", "/etc", "/dev", "/var", "/home"}, write)
	}},
	{"make a device", false, noWrite, func(*targets) error {
		return unix.Mknod(inside.Out+"/device", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5)))
	}},
	{"make a pipe in out", false, noWrite, func(*targets) error { return unix.Mkfifo(inside.Out+"/pipe", 0o600) }},
	{"make a link in out", false, noWrite, func(*targets) error { return os.Symlink("/etc/passwd", inside.Out+"/link") }},
	{"hard link of the runtime", false, append([]error{unix.EXDEV}, noWrite...), func(t *targets) error {
		return os.Link("/"+probeStage, inside.Out+"/hard")
	}},
	{"run a program from out", false, noWrite, func(*targets) error {
		program, err := os.ReadFile("/usr/bin/true")
		if err != nil {
			program = []byte("#!/bin/sh\n")
		}
		path := inside.Out + "/program"
		defer os.Remove(path)
		if err := os.WriteFile(path, program, 0o700); err != nil {
			return fmt.Errorf("not written: %v", err)
		}
		return (&exec.Cmd{Path: path}).Run()
	}},
	{"escape by a descriptor of out", false, noFile, func(*targets) error {
		fd, err := unix.Open(inside.Out, unix.O_PATH, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		up, err := unix.Openat(fd, "../../../../etc/passwd", unix.O_RDONLY, 0)
		if err == nil {
			unix.Close(up)
		}
		return err
	}},
	{"inherited descriptors", false, []error{unix.EBADF}, func(t *targets) error {
		for fd := 3; fd < t.Limits.OpenFiles; fd++ {
			var stat unix.Stat_t
			// Go's poller has descriptors of no file type.
			if unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT != 0 {
				return fmt.Errorf("descriptor %d of type %o: %w", fd, stat.Mode&unix.S_IFMT, errThrough)
			}
		}
		return unix.EBADF
	}},
	syscallAim("open by handle", unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(0), 0, 0),

	// Network and sockets.
	{"connect to the node", false, filtered, func(t *targets) error {
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
	{"datagram socket pair", false, filtered, func(*targets) error {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err == nil {
			unix.Close(fds[0])
			unix.Close(fds[1])
		}
		return err
	}},

	// Other processes.
	{"trace the node", false, noProc, func(t *targets) error {
		return try(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(t.Node))
	}},
	{"signal the node", false, noProc, func(t *targets) error { return unix.Kill(t.Node, 0) }},
	{"signal everybody", false, noProc, func(*targets) error { return unix.Kill(-1, 0) }},
	{"read the node's memory", false, noProc, func(t *targets) error {
		return try(unix.SYS_PROCESS_VM_READV, uintptr(t.Node))
	}},
	{"open the node's process", false, noProc, func(t *targets) error { return try(unix.SYS_PIDFD_OPEN, uintptr(t.Node)) }},
	syscallAim("take another's descriptor", unix.SYS_PIDFD_GETFD, 0, 0, 0),
	{"limit the node", false, noProc, func(t *targets) error {
		var old unix.Rlimit
		return unix.Prlimit(t.Node, unix.RLIMIT_NOFILE, nil, &old)
	}},
	// The first process leads its session and may not leave it; its children may.
	{"leave the session", false, filtered, func(*targets) error { return callInChild(unix.SYS_SETSID) }},
	{"leave the process group", false, filtered, func(*targets) error { return callInChild(unix.SYS_SETPGID) }},
	{"need: death with the node", true, nil, func(*targets) error {
		var signal int32
		if err := unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&signal)), 0, 0, 0); err != nil {
			return err
		}
		if unix.Signal(signal) != unix.SIGKILL {
			return fmt.Errorf("signal %d is set", signal)
		}
		return nil
	}},
	{"outlive the node", false, filtered, func(*targets) error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) }},
	syscallAim("raise the priority", unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, ^uintptr(9)),
	syscallAim("real-time scheduling", unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO, 0),

	// Namespaces, rights, mounts.
	syscallAim("new user namespace", unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
	syscallAim("enter a namespace", unix.SYS_SETNS, ^uintptr(0), 0),
	// With CLONE_THREAD as well the kernel would refuse it anyway, so that an
	// open filter (EINVAL) starts no process here.
	syscallAim("clone into a namespace", unix.SYS_CLONE, unix.CLONE_NEWUSER|unix.CLONE_THREAD),
	syscallAim("clone3", unix.SYS_CLONE3, 0, 0),
	{"mount", false, filtered, func(*targets) error { return unix.Mount("none", inside.Tmp, "tmpfs", 0, "") }},
	{"unmount", false, filtered, func(*targets) error { return unix.Unmount("/usr", unix.MNT_DETACH) }},
	{"open a tree", false, filtered, func(*targets) error {
		_, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
		return err
	}},
	{"open a file system", false, filtered, func(*targets) error { _, err := unix.Fsopen("tmpfs", 0); return err }},
	syscallAim("pivot_root", unix.SYS_PIVOT_ROOT, 0, 0),
	{"chroot", false, filtered, func(*targets) error { return unix.Chroot(inside.Tmp) }},
	syscallAim("setuid", unix.SYS_SETUID, 0),
	syscallAim("setresuid", unix.SYS_SETRESUID, 0, 0, 0),
	syscallAim("setgroups", unix.SYS_SETGROUPS, 0, 0),
	syscallAim("take capabilities", unix.SYS_CAPSET, 0, 0),
	{"have capabilities", false, []error{unix.EPERM}, func(*targets) error {
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
	{"gain rights by a program", false, []error{unix.EPERM}, func(*targets) error {
		if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || on != 1 {
			return fmt.Errorf("no_new_privs is %d (%v): %w", on, err, errThrough)
		}
		return unix.EPERM
	}},

	// Kernel interfaces that jobs have no use for.
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
	{"type into a terminal", false, filtered, func(*targets) error {
		c := byte('x')
		return try(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
	}},

	// Memory that no limit counts.
	{"memfd", false, filtered, func(*targets) error { _, err := unix.MemfdCreate("x", 0); return err }},
	syscallAim("SysV shared memory", unix.SYS_SHMGET, 0, 4096, 0o1600),
	syscallAim("SysV semaphores", unix.SYS_SEMGET, 0, 1, 0o1600),
	syscallAim("SysV messages", unix.SYS_MSGGET, 0, 0o1600),
	syscallAim("POSIX messages", unix.SYS_MQ_OPEN, 0, 0, 0, 0),

	// Limits. The one on processes comes last.
	{"raise a limit", false, []error{unix.EPERM, unix.EINVAL}, func(t *targets) error {
		more := uint64(t.Limits.OpenFiles) + 1
		return unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: more, Max: more}, nil)
	}},
	{"file over the limit", false, []error{unix.EFBIG}, func(t *targets) error {
		// The kernel sends SIGXFSZ too, which Go programs ignore.
		path := inside.Out + "/large"
		defer os.Remove(path)
		return fill(path, t.Limits.FileSize+1)
	}},
	{"out over the limit", false, []error{unix.ENOSPC}, func(t *targets) error {
		for i := range t.Limits.Out.Bytes/t.Limits.FileSize + 1 {
			path := fmt.Sprintf("%s/part%d", inside.Out, i)
			defer os.Remove(path)
			if err := fill(path, t.Limits.FileSize); err != nil {
				return err
			}
		}
		return nil
	}},
	{"memory over the limit", false, []error{unix.ENOMEM}, func(t *targets) error {
		_, err := unix.Mmap(-1, 0, int(t.Limits.AddressSpace), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
		return err
	}},
	{"open files over the limit", false, []error{unix.EMFILE}, func(t *targets) error {
		for range t.Limits.OpenFiles {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
		}
		return nil
	}},
	{"processes over the limit", false, []error{unix.EAGAIN}, func(t *targets) error {
		for range t.Limits.Processes {
			pid, err := fork(unix.SYS_PPOLL) // sleeps until it is killed
			if err != nil {
				return err
			}
			defer func() {
				unix.Kill(pid, unix.SIGKILL)
				unix.Wait4(pid, nil, 0, nil)
			}()
		}
		return nil
	}},
}

// fill writes a file of n bytes.
func fill(path string, n int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := make([]byte, 64<<10)
	for n > 0 {
		wrote, err := f.Write(chunk[:min(n, int64(len(chunk)))])
		if err != nil {
			return err
		}
		n -= int64(wrote)
	}
	return nil
}

// callInChild makes a system call in a process of its own.
func callInChild(number uintptr) error {
	pid, err := fork(number)
	if err != nil {
		return fmt.Errorf("no child: %v", err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return fmt.Errorf("no child: %v", err)
	}
	if errno := syscall.Errno(status.ExitStatus()); errno != 0 {
		return errno
	}
	return nil
}

// fork starts a child that makes one system call and ends with its error. The
// child of a bare fork has none of Go's other threads: it must do nothing but
// system calls.
//
//go:norace
//go:noinline
func fork(number uintptr) (int, error) {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		_, _, errno := syscall.RawSyscall6(number, 0, 0, 0, 0, 0, 0)
		for {
			syscall.RawSyscall6(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0, 0, 0, 0)
		}
	}
	return int(pid), nil
}
