// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// needs are what a job must be able to do.
var needs = []aim{
	{name: "need: write in, out, tmp", need: true, try: func(t *targets) error {
		for _, dir := range []string{t.Dirs.In, t.Dirs.Out, t.Dirs.Tmp} {
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
	{name: "need: stream socket pair", need: true, try: func(*targets) error {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fds[0])
		defer unix.Close(fds[1])
		return unix.Sendmsg(fds[0], []byte("x"), unix.UnixRights(0), nil, 0)
	}},
	{name: "need: fork and run a program", need: true, try: func(t *targets) error {
		return (&exec.Cmd{Path: t.Program, Args: []string{probeStage, "leave"}}).Run()
	}},
}

// onFiles reach for files that are not the job's.
var onFiles = []aim{
	{name: "read the node's secrets", denied: noFile, try: func(t *targets) error { return anyOf(noFile, t.Secret, read) }},
	readAim("read /etc/shadow", "/etc/shadow"),
	readAim("read /etc/passwd", "/etc/passwd"),
	{name: "list homes", denied: noFile, try: func(*targets) error {
		return anyOf(noFile, []string{"/home", "/root", "/mnt", "/media", "/srv"}, read)
	}},
	readAim("list processes", "/proc"),
	{name: "list /sys, /run", denied: noFile, try: func(*targets) error {
		return anyOf(noFile, []string{"/sys", "/run", "/var/run", "/dev/shm", "/dev/pts"}, read)
	}},
	{name: "read the node's environment and memory", denied: noFile, try: func(t *targets) error {
		node := fmt.Sprintf("/proc/%d/", t.Node)
		return anyOf(noFile, []string{node + "environ", node + "mem", node + "fd", "/proc/1/environ", "/proc/self/environ"}, read)
	}},
	{name: "write to the runtime", denied: noWrite, try: func(t *targets) error { return anyOf(noWrite, t.ReadOnly, write) }},
	{name: "write to /, /etc, /dev, /var", denied: noWrite, try: func(*targets) error {
		return anyOf(noWrite, []string{"/", "/etc", "/dev", "/var", "/home"}, write)
	}},
	{name: "make a device", denied: noWrite, try: func(t *targets) error {
		return unix.Mknod(t.Dirs.Out+"/device", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5)))
	}},
	{name: "make a pipe in out", denied: noWrite, try: func(t *targets) error { return unix.Mkfifo(t.Dirs.Out+"/pipe", 0o600) }},
	{name: "make a link in out", denied: noWrite, try: func(t *targets) error { return os.Symlink("/etc/passwd", t.Dirs.Out+"/link") }},
	{name: "hard link of the runtime", denied: append([]error{unix.EXDEV}, noWrite...), try: func(t *targets) error {
		return os.Link(t.Program, t.Dirs.Out+"/hard")
	}},
	{name: "run a program from out", denied: noWrite, try: func(t *targets) error {
		program, err := os.ReadFile("/usr/bin/true")
		if err != nil {
			program = []byte("#!/bin/sh\n")
		}
		path := t.Dirs.Out + "/program"
		defer os.Remove(path)
		if err := os.WriteFile(path, program, 0o700); err != nil {
			return fmt.Errorf("not written: %v", err)
		}
		return (&exec.Cmd{Path: path}).Run()
	}},
	{name: "escape by a descriptor of out", denied: noFile, try: func(t *targets) error {
		fd, err := unix.Open(t.Dirs.Out, unix.O_PATH, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		up, err := unix.Openat(fd, strings.Repeat("../", 40)+"etc/passwd", unix.O_RDONLY, 0)
		if err == nil {
			unix.Close(up)
		}
		return err
	}},
	{name: "inherited descriptors", denied: []error{unix.EBADF}, try: func(t *targets) error {
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

	// The bait is a file of the node's user, made for this.
	{name: "read the bait", denied: noFile, try: func(t *targets) error { return anyOf(noFile, []string{t.bait(), t.Bait}, read) }},
	{name: "write to the bait", denied: noWrite, try: func(t *targets) error { return write(t.bait()) }},
	{name: "empty the bait", denied: noWrite, try: func(t *targets) error { return unix.Truncate(t.bait(), 0) }},
	{name: "rename the bait", denied: noMove, try: func(t *targets) error { return unix.Rename(t.bait(), t.bait()+"2") }},
	{name: "take the bait away", denied: noMove, try: func(t *targets) error { return unix.Rename(t.bait(), t.Dirs.Out+"/bait") }},
	{name: "link the bait into out", denied: noMove, try: func(t *targets) error { return unix.Link(t.bait(), t.Dirs.Out+"/bait") }},
	{name: "put another in the bait's place", denied: noMove, try: func(t *targets) error {
		path := t.Dirs.Out + "/other"
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return fmt.Errorf("not written: %v", err)
		}
		defer os.Remove(path)
		return unix.Rename(path, t.bait())
	}},
	{name: "make a file beside the bait", denied: noWrite, try: func(t *targets) error { return write(t.Bait) }},
	{name: "make a folder beside the bait", denied: noWrite, try: func(t *targets) error { return unix.Mkdir(t.Bait+"/folder", 0o700) }},
	{name: "change the bait's mode", denied: noWrite, try: func(t *targets) error {
		return unchanged(t.bait(), func(path string) error { return unix.Chmod(path, 0o666) })
	}},
	{name: "change the bait's times", denied: noWrite, try: func(t *targets) error {
		return unchanged(t.bait(), func(path string) error { return unix.Utimes(path, make([]unix.Timeval, 2)) })
	}},
	{name: "read the bait's attributes", denied: append([]error{unix.ENOTSUP}, noFile...), try: func(t *targets) error {
		_, err := unix.Getxattr(t.bait(), "user.bait", make([]byte, 10))
		return err
	}},
	{name: "watch the bait's folder", denied: filtered, try: func(t *targets) error {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.InotifyAddWatch(fd, t.Bait, unix.IN_ALL_EVENTS)
		return err
	}},
	{name: "delete the bait", denied: noMove, try: func(t *targets) error { return unix.Unlink(t.bait()) }},
	{name: "hold others up by a lease", denied: filtered, try: func(t *targets) error {
		fd, err := unix.Open(t.Program, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("not opened: %v", err)
		}
		defer unix.Close(fd)
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
		return err
	}},
	{name: "lock the runtime", denied: filtered, try: func(t *targets) error {
		whole := func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }
		return lock(t.Program, whole, whole)
	}},
	{name: "lock parts of the runtime", denied: filtered, try: func(t *targets) error {
		return lock(t.Program, func(fd int) error {
			return unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
		}, func(fd int) error {
			wanted := unix.Flock_t{Type: unix.F_WRLCK}
			if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &wanted); err != nil || wanted.Type == unix.F_UNLCK {
				return err
			}
			return unix.EAGAIN
		})
	}},
	syscallAim("write all disks out", unix.SYS_SYNC),
}

// onLimits run into the limits of probeLimits. The one on processes comes last.
var onLimits = []aim{
	{name: "raise a limit", denied: []error{unix.EPERM, unix.EINVAL}, try: func(t *targets) error {
		more := uint64(t.Limits.OpenFiles) + 1
		return unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: more, Max: more}, nil)
	}},
	{name: "file over the limit", denied: []error{unix.EFBIG}, try: func(t *targets) error {
		// The kernel sends SIGXFSZ too, which Go programs ignore.
		path := t.Dirs.Out + "/large"
		defer os.Remove(path)
		return fill(path, t.Limits.FileSize+1)
	}},
	{name: "out over the limit", not: Basic, denied: []error{unix.ENOSPC}, try: func(t *targets) error {
		for i := range t.Limits.Out.Bytes/t.Limits.FileSize + 1 {
			path := fmt.Sprintf("%s/part%d", t.Dirs.Out, i)
			defer os.Remove(path)
			if err := fill(path, t.Limits.FileSize); err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "memory over the limit", denied: []error{unix.ENOMEM}, try: func(t *targets) error {
		_, err := unix.Mmap(-1, 0, int(t.Limits.AddressSpace), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
		return err
	}},
	{name: "open files over the limit", denied: []error{unix.EMFILE}, try: func(t *targets) error {
		for range t.Limits.OpenFiles {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
		}
		return nil
	}},
	{name: "processes over the limit", not: Basic, denied: []error{unix.EAGAIN}, try: func(t *targets) error {
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
	}}, // There the limit is about what the user runs already: it need only be set, and
	// count.
	{name: "processes of the user over the limit", only: Basic, denied: []error{unix.EAGAIN}, try: func(t *targets) error {
		var limit unix.Rlimit
		if err := unix.Prlimit(0, unix.RLIMIT_NPROC, nil, &limit); err != nil || limit.Max >= t.NodeProcesses {
			return fmt.Errorf("%d processes are allowed (%v): %w", limit.Max, err, errThrough)
		}
		limit.Cur = 1
		if err := unix.Prlimit(0, unix.RLIMIT_NPROC, &limit, nil); err != nil {
			return fmt.Errorf("not lowered: %v", err)
		}
		pid, err := fork(unix.SYS_GETPID)
		if err == nil {
			unix.Wait4(pid, nil, 0, nil)
		}
		return err
	}},
}
