// SPDX-License-Identifier: MIT

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

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

	not, only Tier // in which it says nothing, or alone says something
}

func (a *aim) in(tier Tier) bool { return a.not != tier && (a.only == "" || a.only == tier) }

// The usual errors of a filter, of a missing or unreadable file, of a process
// that cannot be seen.
var (
	filtered = []error{unix.EPERM, unix.ENOSYS}
	noFile   = []error{unix.ENOENT, unix.EACCES, unix.EPERM}
	noWrite  = []error{unix.EROFS, unix.EACCES, unix.EPERM, unix.ENOENT}
	noProc   = []error{unix.EPERM, unix.ESRCH}
	noMove   = append([]error{unix.EXDEV}, noWrite...)
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
	if err := surrounded(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	encoder := json.NewEncoder(os.Stdout)
	for _, a := range attacks {
		if !a.in(t.Tier) {
			continue
		}
		if err := encoder.Encode(a.run(&t)); err != nil {
			os.Exit(1)
		}
	}
}

// surrounded makes sure, by what harms nothing, that there is a sandbox around
// this process before it attacks.
func surrounded() error {
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err != nil || mode != unix.SECCOMP_MODE_FILTER {
		return fmt.Errorf("the probe is under no filter (%d, %v)", mode, err)
	}
	if _, err := os.ReadDir("/"); err == nil {
		return errors.New("the probe is not under Landlock")
	}
	return nil
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

// unchanged makes a change to a file and returns nil if it was made. A filter may
// say so and do nothing.
func unchanged(path string, change func(string) error) error {
	var before, after unix.Stat_t
	if err := unix.Lstat(path, &before); err != nil {
		return err
	}
	if err := change(path); err != nil {
		return err
	}
	if err := unix.Lstat(path, &after); err != nil {
		return err
	}
	if before.Mode == after.Mode && before.Mtim == after.Mtim {
		return unix.EPERM
	}
	return nil
}

// lock locks a file that may only be read and returns nil if that is in the way of
// who opens it too. A filter may say that it was locked, and do nothing.
func lock(path string, set, meet func(fd int) error) error {
	one, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("not opened: %v", err)
	}
	defer one.Close()
	other, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("not opened: %v", err)
	}
	defer other.Close()
	if err := set(int(one.Fd())); err != nil {
		return err
	}
	err = meet(int(other.Fd()))
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil
	case err != nil:
		return err
	}
	return unix.EPERM
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

// attacks are all there are, in their order.
var attacks = slices.Concat(needs, onFiles, onNetwork, onProcesses, onRights, onKernel, onMachine, onLimits)

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
