// SPDX-License-Identifier: MIT

package lan

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// stage tells a copy of the program what it is for: "try" finds out whether
// networks can be made and ends, "inside" is the program proper.
const stage = "MESHNODE_LAN_STAGE"

// Enter moves the program into namespaces of its own, where it may make
// networks without touching the machine's, as root or not: it starts a copy of
// the program there with the same arguments, waits for it, removes its folder
// for temporary files, and exits with its code. So Enter returns nil in the copy
// only; when it returns an error, which says what is not permitted, this is
// still the first process and nothing has changed.
//
// Before that, in the first process, prepare is called with the copy's folder for
// temporary files: the copy has no network of its own to fetch anything from.
//
// The copy is process 1 of its process namespace: /proc shows it and what it
// started, and nothing else, and with it all of that ends.
func Enter(prepare func(tmp string) error) error {
	switch os.Getenv(stage) {
	case "inside":
		return furnish()
	case "try":
		if err := try(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	trial, err := copyOf(stage + "=try")
	if err != nil {
		return err
	}
	trial.Stdin, trial.Stdout, trial.Stderr = nil, nil, nil
	if said, err := trial.CombinedOutput(); err != nil {
		if text := strings.TrimSpace(string(said)); text != "" {
			return errors.New(text)
		}
		return fmt.Errorf("lan: new namespaces are not permitted here: %w", err)
	}

	// Ctrl-C ends the copy; this process has still to remove the folder.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	tmp, err := os.MkdirTemp("", "lan-")
	if err != nil {
		return fmt.Errorf("lan: %w", err)
	}
	code, err := 1, prepare(tmp)
	if err == nil {
		code, err = inside(tmp, interrupted)
	}
	removeGroups(tmp)
	if err := errors.Join(err, os.RemoveAll(tmp)); err != nil {
		fmt.Fprintln(os.Stderr, "lan:", err)
		code = max(code, 1)
	}
	os.Exit(code)
	return nil
}

// inside runs the program proper with a folder for temporary files.
func inside(tmp string, interrupted <-chan os.Signal) (code int, err error) {
	cmd, err := copyOf(stage+"=inside", "TMPDIR="+tmp)
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case s := <-interrupted:
		_ = cmd.Process.Kill()
		<-ended
		return 128 + int(s.(syscall.Signal)), nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil
	}
	return cmd.ProcessState.ExitCode(), err
}

// copyOf returns this program, to be started in new namespaces. It dies with
// this process.
func copyOf(env ...string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("lan: %w", err)
	}
	runtime.LockOSThread() // the copy is killed when the thread that started it ends
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	attr := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Getuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd.SysProcAttr = attr
	return cmd, nil
}

// furnish gives the new namespaces what programs expect: their own /proc, and a
// /run in which the ip command may keep network namespaces.
func furnish() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("lan: %s is set, but this is not process 1 of new namespaces", stage)
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC},
		{"lan", "/run", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV},
	} {
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("lan: mount %s: %w", m.target, err)
		}
	}
	return os.Unsetenv(stage)
}

// try makes a network and removes it.
func try() error {
	if err := furnish(); err != nil {
		return err
	}
	l, err := New(1)
	if err != nil {
		return err
	}
	return l.Close()
}
