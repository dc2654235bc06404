// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	if len(os.Args) > 2 && os.Args[1] == testStage && strings.HasPrefix(os.Args[2], "headless") {
		runtime.LockOSThread() // the job runs on the first thread
	}
	maps.Copy(jobsByName, testJobs{
		"map": mapJob, "forks": forksJob, "bomb": bombJob, "open": openJob, "write": writeJob("OUT"), "write-in": writeJob("IN"), "write-tmp": writeJob("TMP"), "deep": deepJob,
		"closed": closedJob, "restless": restlessJob, "headless": headlessJob, "room": roomJob, "hold": holdJob, "shared": sharedJob, "buffers": buffersJob, "tables": tablesJob, "mappings": mappingsJob,
		"pipes": pipesJob, "headless-pipes": headlessPipesJob, "send": sendJob,
		"relay": relayJob, "work": workJob, "signal": signalJob,
	})
}

// The jobs below do a certain amount of something, and end well if they may.

// stay gives the node time to look.
func stay() error {
	d, _ := time.ParseDuration(os.Getenv("STAY"))
	time.Sleep(d)
	return nil
}

// mapJob asks for that many bytes of address space.
func mapJob(args []string) error {
	size, _ := strconv.Atoi(args[0])
	_, err := unix.Mmap(-1, 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	return err
}

// forksJob has that many processes at one time.
func forksJob(args []string) error {
	n, _ := strconv.Atoi(args[0])
	for range n {
		pid, err := fork(unix.SYS_PPOLL)
		if err != nil {
			return err
		}
		defer unix.Kill(pid, unix.SIGKILL)
	}
	return stay()
}

// bombJob has every process start others for ever, once its input ends.
//
//go:norace
func bombJob([]string) error {
	io.Copy(io.Discard, os.Stdin)
	for {
		syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	}
}

// roomJob prints how many processes its user may have when one more fits, with that
// hard limit.
func roomJob(args []string) error {
	if most, err := strconv.ParseUint(args[0], 10, 64); err == nil {
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	n, err := roomToFork(1)
	fmt.Println(n)
	return err
}

// openJob has that many descriptors at one time.
func openJob(args []string) error {
	n, _ := strconv.Atoi(args[0])
	for range n {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
			return err
		}
	}
	return nil
}

// writeJob has a job write that many files of that many MiB into the folder that a
// variable names.
func writeJob(folder string) func(args []string) error {
	return func(args []string) error {
		files, _ := strconv.Atoi(args[0])
		size, _ := strconv.ParseInt(args[1], 10, 64)
		for i := range files {
			if err := fill(filepath.Join(os.Getenv(folder), "file"+strconv.Itoa(i)), size<<20); err != nil {
				return err
			}
		}
		return stay()
	}
}

// deepJob makes that many folders within each other.
func deepJob(args []string) error {
	depth, _ := strconv.Atoi(args[0])
	if err := makeDeep(os.Getenv("OUT"), depth); err != nil {
		return err
	}
	return stay()
}

// makeDeep makes folders within each other, the last of which nobody may read.
func makeDeep(top string, depth int) error {
	at, err := unix.Open(top, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	for range depth {
		if err := unix.Mkdirat(at, "deep", 0o700); err != nil {
			return err
		}
		below, err := unix.Openat(at, "deep", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		unix.Close(at)
		at = below
	}
	unix.Fchmod(at, 0)
	return unix.Close(at)
}

// closedJob writes that many files of that many MiB below a folder that nobody may
// list, but that takes files from who knows its name.
func closedJob(args []string) error {
	folder := filepath.Join(os.Getenv("OUT"), "closed")
	if err := unix.Mkdir(folder, 0o300); err != nil {
		return err
	}
	os.Setenv("OUT", folder)
	return writeJob("OUT")(args)
}

// restlessJob writes that many MiB below folders whose names change all the time:
// whoever has read one finds nothing there.
func restlessJob(args []string) error {
	mib, _ := strconv.ParseInt(args[0], 10, 64)
	var above []int
	at := os.Getenv("OUT")
	for range 60 {
		fd, err := unix.Open(at, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err = errors.Join(err, unix.Mkdirat(fd, "0", 0o700), unix.Chdir(at+"/0")); err != nil {
			return err
		}
		above, at = append(above, fd), "."
	}
	go func() {
		for i := 0; ; i++ {
			for _, fd := range above {
				unix.Renameat(fd, strconv.Itoa(i), fd, strconv.Itoa(i+1))
			}
		}
	}()
	if err := fill("file", mib<<20); err != nil {
		return err
	}
	return errors.Join(stay(), stay())
}

// buffersJob fills the buffers of that many socket pairs: memory that belongs to no
// process.
func buffersJob(args []string) error {
	n, _ := strconv.Atoi(args[0])
	block := make([]byte, 1<<16)
	for range n {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		for _, fd := range fds {
			for err == nil {
				_, err = unix.Write(fd, block)
			}
			err = nil
		}
	}
	return stay()
}

// holdJob holds that many bytes in each of that many processes.
func holdJob(args []string) error {
	size, _ := strconv.Atoi(args[0])
	processes, _ := strconv.Atoi(args[1])
	var other *exec.Cmd
	if processes > 1 {
		other = exec.Command(os.Args[0], append([]string{testStage, "hold", args[0], strconv.Itoa(processes - 1)}, args[2:]...)...)
		if err := other.Start(); err != nil {
			return err
		}
	}
	block := make([]byte, size)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	err := stay()
	runtime.KeepAlive(block)
	if other != nil {
		err = errors.Join(err, other.Wait())
	}
	return err
}

// tablesJob reads one byte in each 2 MiB of that many GiB: each takes a page of the
// kernel's for its tables, and none of the job's.
func tablesJob(args []string) error {
	gib, _ := strconv.Atoi(args[0])
	block, err := unix.Mmap(-1, 0, gib<<30, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return err
	}
	if err := unix.Madvise(block, unix.MADV_NOHUGEPAGE); err != nil {
		return err
	}
	for i := 0; i < len(block); i += 2 << 20 {
		if block[i] != 0 {
			return errors.New("new memory is not empty")
		}
	}
	return stay()
}

// sharedJob holds that many bytes of a device, or of nothing if it names none, that it
// does not map any more: they are shared, and still there.
func sharedJob(args []string) error {
	size, _ := strconv.Atoi(args[1])
	fd, flags := -1, unix.MAP_SHARED
	if args[0] == "" {
		flags |= unix.MAP_ANON
	} else {
		var err error
		if fd, err = unix.Open(args[0], unix.O_RDWR, 0); err != nil {
			return err
		}
	}
	block, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return err
	}
	before := residentSize(os.Getpid())
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	if err := unix.Madvise(block, unix.MADV_DONTNEED); err != nil {
		return err
	}
	if shown := residentSize(os.Getpid()) - before; shown > int64(size)/2 {
		return fmt.Errorf("%d bytes are shown", shown)
	}
	err = stay()
	for i := 0; i < len(block); i += 4096 {
		if block[i] != 1 {
			return errors.New("the memory is not there")
		}
	}
	return err
}

// mappingsJob has as many mappings as it may, in each of that many processes.
func mappingsJob(args []string) error {
	n, _ := strconv.Atoi(args[0])
	if n > 1 {
		other := exec.Command(os.Args[0], append([]string{testStage, "mappings", strconv.Itoa(n - 1)}, args[1:]...)...)
		if err := other.Start(); err != nil {
			return err
		}
		defer other.Wait()
	}
	const most = 65000
	block, err := unix.Mmap(-1, 0, most*4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	for i := 0; err == nil && i < most; i += 2 {
		err = unix.Mprotect(block[i*4096:][:4096], unix.PROT_NONE)
	}
	return errors.Join(err, stay())
}

// headlessJob holds that many bytes in a process whose first thread has ended.
func headlessJob(args []string) error {
	size, _ := strconv.Atoi(args[0])
	return headless(func() error {
		_, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
		return err
	})
}

// headless does what take says, and holds that in a process whose first thread has
// ended: it is a zombie by its number, and lives.
func headless(take func() error) error {
	d, _ := time.ParseDuration(os.Getenv("STAY"))
	go func() { // with system calls alone: Go does not know that a thread of its own is gone
		err := take()
		left := unix.NsecToTimespec(int64(d))
		unix.Nanosleep(&left, nil)
		code := uintptr(0)
		if err != nil {
			code = 1
		}
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
	}()
	time.Sleep(10 * time.Millisecond)
	syscall.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	return nil
}

// pipesJob has that many pipes at one time.
func pipesJob(args []string) error { return errors.Join(openPipePairs(args[0]), stay()) }

func headlessPipesJob(args []string) error {
	return headless(func() error { return openPipePairs(args[0]) })
}

func openPipePairs(number string) error {
	n, _ := strconv.Atoi(number)
	for range n {
		if err := unix.Pipe(make([]int, 2)); err != nil {
			return err
		}
	}
	return nil
}

// sendJob sends that many descriptors, which nobody receives.
func sendJob(args []string) error {
	n, _ := strconv.Atoi(args[0])
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(make([]int, n)...), nil, 0); err != nil {
		return err
	}
	return stay()
}

// workJob uses a processor for that long.
func workJob(args []string) error {
	d, err := time.ParseDuration(args[0])
	used := func() time.Duration {
		var u unix.Rusage
		unix.Getrusage(unix.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for used() < d {
	}
	return err
}

// relayJob has that many processes work one after another, none of them for long.
func relayJob(args []string) error {
	n, _ := strconv.Atoi(args[0])
	for range n {
		if err := exec.Command(os.Args[0], append([]string{testStage, "work", "50ms"}, args[1:]...)...).Run(); err != nil {
			return err
		}
	}
	return stay()
}

// signalJob sends a signal to all that it can. That there is nobody is as good as
// that it may not.
func signalJob([]string) error {
	err := unix.Kill(-1, unix.SIGWINCH)
	if err != nil && err != unix.ESRCH && err != unix.EPERM {
		return err
	}
	return nil
}
