// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The stages of a start, as the program's own name (argv[0]): no command line
// that a person types can be mistaken for one.
const (
	launchStage  = "meshnode-sandbox-launch"  // on the host, as root, before bubblewrap
	confineStage = "meshnode-sandbox-confine" // in the new namespaces; becomes the job
	probeStage   = "meshnode-sandbox-probe"   // a job that attacks its sandbox
)

// jobUser is the user and group of a job, as seen inside. It is not 0: the
// kernel does not count user 0's processes, and a job needs no such look.
const jobUser = 1000

// A helper works on one thread, the one that calls execve at last: rights, rules
// and filters belong to threads. In an init function that is the main thread.
func init() {
	switch filepath.Base(os.Args[0]) {
	case launchStage, superviseStage, confineStage, probeStage:
		runtime.LockOSThread()
	}
}

// MaybeInit does the work of a helper if this process was started as one, and
// then does not return. Every main and TestMain of a program that uses this
// package calls it first, before flags are read, files opened or goroutines
// started.
func MaybeInit() {
	var stage func() error
	switch filepath.Base(os.Args[0]) {
	case launchStage:
		stage = launch
	case superviseStage:
		stage = supervise
	case confineStage:
		stage = confine
	case probeStage:
		if len(os.Args) == 1 { // else it was started by itself, to see whether it could
			attackAll()
		}
		os.Exit(0)
	default:
		return
	}
	debug.SetGCPercent(-1)
	err := stage()
	sendFailure(err)
	os.Exit(1)
}

// launch leaves root for the job's user and becomes bubblewrap.
func launch() error {
	var o launchOrder
	if err := receiveOrder(&o); err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	if err := stageMounts(o.Staged); err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	if err := becomeUser(o.Become); err != nil {
		return err
	}
	if err := closeOnExec(infoFD + 1); err != nil {
		return err
	}
	if err := dieWithParent(); err != nil {
		return err
	}
	return fmt.Errorf("start %s: %w", o.Argv[0], unix.Exec(o.Argv[0], o.Argv, []string{}))
}

// stageMounts puts the sources where another user can reach them, in a mount
// namespace that only bubblewrap will see: /root is closed to others, a program
// below it is not.
func stageMounts(mounts []mount) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	fds, err := openMounts(mounts, 0)
	if err != nil {
		return err
	}
	top, err := newTmpfs(Space{1 << 20, 1024}, 0, unix.MOUNT_ATTR_NOSUID)
	if err != nil {
		return err
	}
	if err := unix.MoveMount(top, "", unix.AT_FDCWD, stage, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount at %s: %w", stage, err)
	}
	return putMounts("/", mounts, fds)
}

// confine builds the inside, gives up all rights and becomes the job.
func confine() error {
	var o confineOrder
	if err := receiveOrder(&o); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	unix.Umask(0o022)
	if o.Build {
		become := func() error { return nil }
		if o.Become != 0 {
			become = func() error { return becomeUser(o.Become) }
		}
		if err := buildRoot(&o, become); err != nil {
			return err
		}
	}
	rules, err := openRules(o.Readable, []string{o.Dirs.In, o.Dirs.Out, o.Dirs.Tmp}, devices)
	if err != nil {
		return err
	}
	if o.Basic && o.Become != 0 {
		if err := becomeUser(o.Become); err != nil {
			return err
		}
	}
	in, err := openFolder(o.Dirs.In)
	if err != nil {
		return err
	}
	out, err := openFolder(o.Dirs.Out)
	if err != nil {
		return err
	}
	tmp, err := openFolder(o.Dirs.Tmp)
	if err != nil {
		return err
	}
	if err := dropCapabilities(!o.Basic); err != nil {
		return err
	}
	if err := dieWithParent(); err != nil {
		return err
	}
	if err := sendReady(in, out, tmp); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	if err := awaitGo(); err != nil {
		return err
	}

	if err := closeOnExec(controlFD); err != nil {
		return err
	}
	if err := unix.Chdir(o.Dir); err != nil {
		return fmt.Errorf("chdir %s: %w", o.Dir, err)
	}
	prog := filter(machines[runtime.GOARCH], o.Basic, o.Poller)
	if o.Basic {
		if o.Limits.Processes, err = roomToFork(o.Limits.Processes); err != nil {
			return err
		}
	}
	if err := setLimits(o.Limits); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	least := 1
	if o.Basic {
		least = basicLandlock
	}
	if err := landlock(rules, least); err != nil {
		return err
	}
	if err := installFilter(prog); err != nil {
		return err
	}
	// Last, as a Go program reserves more than a job may.
	if err := setLimit("address space", unix.RLIMIT_AS, o.Limits.AddressSpace); err != nil {
		return err
	}
	return fmt.Errorf("start %s: %w", o.Argv[0], unix.Exec(o.Program, o.Argv, o.Env))
}

func openFolder(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}

// becomeUser changes user and group of this thread and leaves all groups. Raw
// calls: Go's own change every thread, in one of which the kernel may refuse.
func becomeUser(id int) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return fmt.Errorf("setgroups: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(id), uintptr(id), uintptr(id)); errno != 0 {
		return fmt.Errorf("setresgid %d: %w", id, errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(id), uintptr(id), uintptr(id)); errno != 0 {
		return fmt.Errorf("setresuid %d: %w", id, errno)
	}
	return nil
}

// dropCapabilities gives up what the helper had in its user namespace, and, with
// bounding, the way back to it, which is closed by no_new_privs too. Bubblewrap
// has done the same before; an ordinary user has no right to the second.
func dropCapabilities(bounding bool) error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	for c := uintptr(0); bounding; c++ {
		held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if err != nil {
			break // past the last one that this kernel has
		}
		if held == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("bounding set: %w", err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// dieWithParent has this process killed with the thread that started it. The
// kernel forgets it at each change of user or rights.
func dieWithParent() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("parent death signal: %w", err)
	}
	return nil
}

// closeOnExec keeps descriptors from first on from the program to come.
func closeOnExec(first uint) error {
	if err := unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	return nil
}

// setLimits sets what the kernel enforces by itself, but for the address space.
// The limit on processes counts those of this user namespace alone; where there
// is none, all of the user. That on CPU time counts one process, and is there in
// case that the node does not look in time.
func setLimits(l Limits) error {
	if l.CPU > 0 {
		seconds := int64((l.CPU+time.Second-1)/time.Second) + 1
		if err := setLimit("CPU seconds", unix.RLIMIT_CPU, seconds); err != nil {
			return err
		}
	}
	for _, limit := range []struct {
		name  string
		what  int
		value int64
	}{
		{"core files", unix.RLIMIT_CORE, 1}, // 0 would still start a program that core_pattern names
		{"open files", unix.RLIMIT_NOFILE, int64(l.OpenFiles)},
		{"file size", unix.RLIMIT_FSIZE, l.FileSize},
		{"message queues", unix.RLIMIT_MSGQUEUE, 0},
		{"locked memory", unix.RLIMIT_MEMLOCK, 0},
		{"queued signals", unix.RLIMIT_SIGPENDING, 1024}, // of all that the user may have
		{"processes", unix.RLIMIT_NPROC, int64(l.Processes)},
	} {
		if err := setLimit(limit.name, limit.what, limit.value); err != nil {
			return err
		}
	}
	return nil
}

// setLimit takes away the right to go back, too.
func setLimit(name string, what int, value int64) error {
	if err := syscall.Setrlimit(what, &syscall.Rlimit{Cur: uint64(value), Max: uint64(value)}); err != nil {
		return fmt.Errorf("limit of %s to %d: %w", name, value, err)
	}
	return nil
}
