// SPDX-License-Identifier: MIT

package sandbox

import (
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// data is the kernel's struct seccomp_data.
type data struct {
	number uint32
	arch   uint32
	args   [6]uint64
}

// interpret runs a classic BPF program as the kernel does, with the kernel's
// own checks: jumps forward and within, known instructions, a return at the end.
func interpret(prog []unix.SockFilter, d data) (uint32, error) {
	var mem [64]byte
	binary.LittleEndian.PutUint32(mem[0:], d.number)
	binary.LittleEndian.PutUint32(mem[4:], d.arch)
	for i, a := range d.args {
		binary.LittleEndian.PutUint64(mem[16+8*i:], a)
	}
	var a uint32
	for pc := 0; pc < len(prog); pc++ {
		in := prog[pc]
		jump := func(yes bool) {
			if yes {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		}
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if in.K%4 != 0 || in.K > 60 {
				return 0, fmt.Errorf("instruction %d loads from %d", pc, in.K)
			}
			a = binary.LittleEndian.Uint32(mem[in.K:])
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= in.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			jump(a == in.K)
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			jump(a > in.K)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			jump(a >= in.K)
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			jump(a&in.K != 0)
		case unix.BPF_RET | unix.BPF_K:
			return in.K, nil
		default:
			return 0, fmt.Errorf("instruction %d has code %#x", pc, in.Code)
		}
	}
	return 0, fmt.Errorf("no return")
}

// forFilters runs f with each filter there is.
func forFilters(t *testing.T, f func(t *testing.T, m machine, hostFiles, poller bool, run func(number int, args ...uint64) uint32)) {
	for name, m := range machines {
		for i := range 4 {
			hostFiles, poller := i&1 != 0, i&2 != 0
			t.Run(fmt.Sprintf("%s, host files %v, poller %v", name, hostFiles, poller), func(t *testing.T) {
				prog := filter(m, hostFiles, poller)
				f(t, m, hostFiles, poller, func(number int, args ...uint64) uint32 {
					t.Helper()
					d := data{number: uint32(number), arch: m.audit}
					copy(d.args[:], args)
					action, err := interpret(prog, d)
					if err != nil {
						t.Fatalf("call %d%v: %v", number, args, err)
					}
					return action
				})
			})
		}
	}
}

// Every number there is gets what the list says, and nothing else.
func TestFilterNumbers(t *testing.T) {
	forFilters(t, func(t *testing.T, m machine, hostFiles, poller bool, run func(int, ...uint64) uint32) {
		for n := range 2000 {
			is := func(c call) bool { return m.number(c) == n }
			want := retPerm
			switch {
			case slices.ContainsFunc(examined, is):
				continue
			case hostFiles && slices.ContainsFunc(changesByName, is):
				want = retSkip
			case hostFiles && slices.ContainsFunc(attributesByName, is):
				want = retNoSup
			case slices.ContainsFunc(allowed, is), poller && slices.ContainsFunc(epollByName, is):
				want = retAllow
			case n > lastKnown:
				want = retNoSys
			}
			if got := run(n); got != want {
				t.Errorf("call %d: %#x, want %#x", n, got, want)
			}
		}
		if got := run(-1); got != retNoSys && got != retKill {
			t.Errorf("call -1: %#x", got)
		}
	})
}

func TestFilterArguments(t *testing.T) {
	const high = 1 << 32
	tests := []struct {
		call call
		args []uint64
		want uint32
	}{
		{callClone, []uint64{uint64(unix.SIGCHLD)}, retAllow},
		{callClone, []uint64{0x3d0f00}, retAllow}, // a thread of glibc
		{callClone, []uint64{0x3d0f00 | high}, retAllow},
		{callClone, []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, retPerm},
		{callClone, []uint64{unix.CLONE_NEWNS}, retPerm},
		{callClone, []uint64{unix.CLONE_NEWCGROUP}, retPerm},
		{callClone, []uint64{unix.CLONE_NEWUTS}, retPerm},
		{callClone, []uint64{unix.CLONE_NEWIPC}, retPerm},
		{callClone, []uint64{unix.CLONE_NEWPID}, retPerm},
		{callClone, []uint64{unix.CLONE_NEWNET | high}, retPerm},
		{callClone3, []uint64{0, 0}, retNoSys},
		{callIoctl, []uint64{0, 0x5401}, retAllow},
		{callIoctl, []uint64{0, 0x5401 | high}, retAllow}, // the kernel looks at 32 bits too
		{callIoctl, []uint64{0, unix.TIOCSTI}, retPerm},
		{callIoctl, []uint64{0, unix.TIOCSTI | high}, retPerm},
		{callIoctl, []uint64{0, unix.TIOCLINUX}, retPerm},
		{callPrctl, []uint64{unix.PR_SET_NAME}, retAllow},
		{callPrctl, []uint64{unix.PR_SET_PDEATHSIG, 9}, retAllow},
		{callPrctl, []uint64{unix.PR_SET_PDEATHSIG, 0}, retPerm},
		{callPrctl, []uint64{unix.PR_SET_PDEATHSIG | high, 15}, retPerm},
		{callPrctl, []uint64{unix.PR_SET_CHILD_SUBREAPER, 1}, retPerm},
		{callPrctl, []uint64{unix.PR_SET_MM}, retPerm},
		{callPrlimit64, []uint64{0, unix.RLIMIT_AS}, retAllow},
		{callPrlimit64, []uint64{1, unix.RLIMIT_AS}, retPerm},
		{callPrctl, []uint64{unix.PR_SET_DUMPABLE, 0}, retPerm},
		{callAffinity, []uint64{0, 8}, retAllow},
		{callAffinity, []uint64{1, 8}, retPerm},
		{callFcntl, []uint64{0, unix.F_DUPFD_CLOEXEC, 64}, retAllow},
		{callFcntl, []uint64{0, unix.F_SETFL, unix.O_NONBLOCK}, retAllow},
		{callFcntl, []uint64{0, unix.F_GETLK}, retAllow},
		{callFcntl, []uint64{0, unix.F_SETLK}, retSkip},
		{callFcntl, []uint64{0, unix.F_SETLKW}, retSkip},
		{callFcntl, []uint64{0, unix.F_OFD_SETLK}, retSkip},
		{callFcntl, []uint64{0, unix.F_OFD_SETLKW | high}, retSkip},
		{callFlock, []uint64{0, unix.LOCK_EX}, retSkip},
		{callFcntl, []uint64{0, unix.F_SETOWN, 1}, retPerm},
		{callFcntl, []uint64{0, unix.F_SETOWN_EX | high, 1}, retPerm},
		{callFcntl, []uint64{0, unix.F_SETSIG, 9}, retPerm},
		{callFcntl, []uint64{0, unix.F_SETLEASE, 1}, retPerm},
		{callFcntl, []uint64{0, unix.F_NOTIFY, 1}, retPerm},
		{callFcntl, []uint64{0, unix.F_SETPIPE_SZ, 1 << 20}, retPerm},
		{callMmap, []uint64{0, 4096, 3, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS}, retAllow},
		{callMmap, []uint64{0, 4096, 3, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE | unix.MAP_STACK | unix.MAP_FIXED}, retAllow},
		{callMmap, []uint64{0, 4096, 1, unix.MAP_SHARED}, retAllow}, // a file
		{callMmap, []uint64{0, 4096, 1, unix.MAP_SHARED_VALIDATE | unix.MAP_POPULATE}, retAllow},
		{callMmap, []uint64{0, 4096, 3, unix.MAP_SHARED | unix.MAP_ANONYMOUS}, retPerm},
		{callMmap, []uint64{0, 4096, 3, unix.MAP_SHARED | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE | high}, retPerm},
		{callMmap, []uint64{0, 4096, 3, unix.MAP_SHARED_VALIDATE | unix.MAP_ANONYMOUS}, retPerm},
		{callMmap, []uint64{0, 4096, 3, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_HUGETLB}, retPerm},
		{callSocketpair, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, retAllow},
		{callSocketpair, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}, retAllow},
		{callSocketpair, []uint64{unix.AF_UNIX, unix.SOCK_DGRAM}, retPerm},
		{callSocketpair, []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET}, retPerm},
		{callSocketpair, []uint64{unix.AF_TIPC, unix.SOCK_STREAM}, retPerm},
	}
	forFilters(t, func(t *testing.T, m machine, _, _ bool, run func(int, ...uint64) uint32) {
		for _, test := range tests {
			if got := run(m.number(test.call), test.args...); got != test.want {
				t.Errorf("%s%#x: %#x, want %#x", test.call.name, test.args, got, test.want)
			}
		}
	})
}

// Numbers mean something else in another ABI: a call from one ends the job.
func TestFilterForeignABI(t *testing.T) {
	for name, m := range machines {
		prog := filter(m, true, true)
		if len(prog) > 4096 {
			t.Errorf("%s: %d instructions, the kernel takes 4096", name, len(prog))
		}
		for other, o := range machines {
			action, err := interpret(prog, data{number: 0, arch: o.audit})
			if (action == retKill) != (name != other) || err != nil {
				t.Errorf("a call of %s under the filter of %s: %#x, %v", other, name, action, err)
			}
		}
		if action, _ := interpret(prog, data{number: 3, arch: unix.AUDIT_ARCH_I386}); action != retKill {
			t.Errorf("%s: a 32-bit call: %#x", name, action)
		}
	}
	x32 := data{number: x32Bit | 1, arch: machines["amd64"].audit}
	if action, _ := interpret(filter(machines["amd64"], false, false), x32); action != retKill {
		t.Errorf("an x32 call: %#x", action)
	}
}

// What reaches beyond a job stays out of the list, whoever edits it.
func TestNeverAllowed(t *testing.T) {
	never := strings.Fields(`socket connect bind listen accept accept4 ptrace process_vm_readv process_vm_writev process_madvise remap_file_pages
		pidfd_open pidfd_getfd pidfd_send_signal unshare setns mount umount2 pivot_root chroot move_mount open_tree
		fsopen fsmount fsconfig fspick mount_setattr bpf io_uring_setup io_uring_enter io_uring_register keyctl add_key
		request_key perf_event_open userfaultfd memfd_create memfd_secret shmget shmat semget msgget mq_open personality
		setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset setsid setpgid
		setpriority sched_setscheduler sched_setattr ioprio_set mknod mknodat open_by_handle_at name_to_handle_at
		reboot kexec_load kexec_file_load init_module finit_module delete_module swapon swapoff acct quotactl syslog
		clock_settime settimeofday sethostname setdomainname seccomp landlock_create_ruleset fanotify_init
		inotify_init inotify_init1 inotify_add_watch fanotify_mark setsockopt sync syncfs setxattr lsetxattr fsetxattr
		epoll_create epoll_create1 epoll_ctl modify_ldt iopl ioperm vhangup lookup_dcookie move_pages migrate_pages kcmp setrlimit`)
	for _, c := range slices.Concat(allowed, examined) {
		if slices.Contains(never, c.name) {
			t.Errorf("%s is allowed", c.name)
		}
	}
}

// The numbers are those of golang.org/x/sys, for the architecture that this
// test does not run on too.
func TestNumbers(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Skip("no go command to find golang.org/x/sys with:", err)
	}
	all := slices.Concat(allowed, examined, changesByName, attributesByName, epollByName)
	for name, m := range machines {
		numbers := sysNumbers(t, filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+name+".go"))
		for _, c := range all {
			want, ok := numbers[c.name]
			if !ok && c.name == "newfstatat" {
				want, ok = numbers["fstatat"] // its name on arm64
			}
			if !ok {
				want = absent
			}
			if got := m.number(c); got != want {
				t.Errorf("%s: %s is %d, want %d", name, c.name, got, want)
			}
		}
	}
}

func sysNumbers(t *testing.T, path string) map[string]int {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	numbers := make(map[string]int)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == 1 && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				name, _ := strings.CutPrefix(spec.Names[0].Name, "SYS_")
				numbers[strings.ToLower(name)], _ = strconv.Atoi(lit.Value)
			}
		}
		return true
	})
	if len(numbers) < 300 {
		t.Fatalf("%s: %d numbers", path, len(numbers))
	}
	return numbers
}
