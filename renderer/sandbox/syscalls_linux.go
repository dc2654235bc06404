// SPDX-License-Identifier: MIT

package sandbox

// absent marks a call that an architecture does not have.
const absent = -1

// call is a system call and its numbers.
type call struct {
	name         string
	amd64, arm64 int
}

// The calls that the filter looks into. filter_linux.go says what it allows.
var (
	callClone      = call{"clone", 56, 220}
	callClone3     = call{"clone3", 435, 435}
	callIoctl      = call{"ioctl", 16, 29}
	callPrctl      = call{"prctl", 157, 167}
	callPrlimit64  = call{"prlimit64", 302, 261}
	callSocketpair = call{"socketpair", 53, 199}
	callFcntl      = call{"fcntl", 72, 25}
	callFlock      = call{"flock", 73, 32}
	callAffinity   = call{"sched_setaffinity", 203, 122}
	callMmap       = call{"mmap", 9, 222}
)

// examined are all of these.
var examined = []call{callClone, callClone3, callIoctl, callPrctl, callPrlimit64, callSocketpair, callFcntl, callFlock, callAffinity, callMmap}

// byName are calls by which a user can change or read what is told of a file
// that is his, and which Landlock does not know. Where a job is the node's user
// and sees the host's files (Basic), changes are not made, and there is nothing
// to read: see filter.
var (
	changesByName = []call{
		{"chmod", 90, absent},
		{"chown", 92, absent},
		{"fchmod", 91, 52},
		{"fchmodat", 268, 53},
		{"fchmodat2", 452, 452},
		{"fchown", 93, 55},
		{"lchown", 94, absent},
		{"utime", 132, absent},
		{"utimensat", 280, 88},
		{"utimes", 235, absent},
	}
	attributesByName = []call{
		{"fgetxattr", 193, 10},
		{"flistxattr", 196, 13},
		{"getxattr", 191, 8},
		{"lgetxattr", 192, 9},
		{"listxattr", 194, 11},
		{"llistxattr", 195, 12},
	}
)

// epollByName are calls that the filter allows to none but our own programs: what
// epoll is to watch takes memory that no limit counts, and is counted for each user
// (fs.epoll.max_user_watches), who may be the node's. Libraries fall back to poll.
var epollByName = []call{
	{"epoll_create", 213, absent},
	{"epoll_create1", 291, 20},
	{"epoll_ctl", 233, 21},
	{"epoll_pwait", 281, 22},
	{"epoll_pwait2", 441, 441},
	{"epoll_wait", 232, absent},
}

// lastKnown is the highest number that was weighed for the list below. Newer
// calls get ENOSYS, so that libraries fall back to older ones.
const lastKnown = 471

// allowed is what a job may call with any arguments. A Python that renders with
// Manim used 49 calls; the list has room for other interpreters. Left out on
// purpose is what reaches beyond the job (sockets, other processes, namespaces,
// mounts, keys, BPF, io_uring, names of files by inotify, sync of all disks) or
// takes memory that no limit counts (epoll, memfd, SysV and POSIX queues, larger socket
// buffers), and what leaves the session or the parent's control.
var allowed = []call{
	{"brk", 12, 214},
	{"capget", 125, 90},
	{"chdir", 80, 49},
	{"clock_getres", 229, 114},
	{"clock_gettime", 228, 113},
	{"clock_nanosleep", 230, 115},
	{"close", 3, 57},
	{"close_range", 436, 436},
	{"copy_file_range", 326, 285},
	{"dup", 32, 23},
	{"dup3", 292, 24},
	{"eventfd2", 290, 19},
	{"execve", 59, 221},
	{"execveat", 322, 281},
	{"exit", 60, 93},
	{"exit_group", 231, 94},
	{"faccessat", 269, 48},
	{"faccessat2", 439, 439},
	{"fadvise64", 221, 223},
	{"fallocate", 285, 47},
	{"fchdir", 81, 50},
	{"fchmod", 91, 52},
	{"fchmodat", 268, 53},
	{"fchmodat2", 452, 452},
	{"fchown", 93, 55},
	{"fdatasync", 75, 83},
	{"fgetxattr", 193, 10},
	{"flistxattr", 196, 13},
	{"fstat", 5, 80},
	{"fstatfs", 138, 44},
	{"fsync", 74, 82},
	{"ftruncate", 77, 46},
	{"futex", 202, 98},
	{"futex_requeue", 456, 456},
	{"futex_wait", 455, 455},
	{"futex_waitv", 449, 449},
	{"futex_wake", 454, 454},
	{"get_mempolicy", 239, 236},
	{"get_robust_list", 274, 100},
	{"getcpu", 309, 168},
	{"getcwd", 79, 17},
	{"getdents64", 217, 61},
	{"getegid", 108, 177},
	{"geteuid", 107, 175},
	{"getgid", 104, 176},
	{"getgroups", 115, 158},
	{"getitimer", 36, 102},
	{"getpeername", 52, 205},
	{"getpgid", 121, 155},
	{"getpid", 39, 172},
	{"getppid", 110, 173},
	{"getpriority", 140, 141},
	{"getrandom", 318, 278},
	{"getresgid", 120, 150},
	{"getresuid", 118, 148},
	{"getrlimit", 97, 163},
	{"getrusage", 98, 165},
	{"getsid", 124, 156},
	{"getsockname", 51, 204},
	{"getsockopt", 55, 209},
	{"gettid", 186, 178},
	{"gettimeofday", 96, 169},
	{"getuid", 102, 174},
	{"getxattr", 191, 8},
	{"kill", 62, 129},
	{"lgetxattr", 192, 9},
	{"linkat", 265, 37},
	{"listxattr", 194, 11},
	{"llistxattr", 195, 12},
	{"lseek", 8, 62},
	{"madvise", 28, 233},
	{"map_shadow_stack", 453, 453},
	{"membarrier", 324, 283},
	{"mincore", 27, 232},
	{"mkdirat", 258, 34},
	{"mlock", 149, 228},
	{"mlock2", 325, 284},
	{"mprotect", 10, 226},
	{"mremap", 25, 216},
	{"mseal", 462, 462},
	{"msync", 26, 227},
	{"munlock", 150, 229},
	{"munmap", 11, 215},
	{"nanosleep", 35, 101},
	{"newfstatat", 262, 79},
	{"openat", 257, 56},
	{"openat2", 437, 437},
	{"pipe2", 293, 59},
	{"pkey_alloc", 330, 289},
	{"pkey_free", 331, 290},
	{"pkey_mprotect", 329, 288},
	{"ppoll", 271, 73},
	{"pread64", 17, 67},
	{"preadv", 295, 69},
	{"preadv2", 327, 286},
	{"pselect6", 270, 72},
	{"pwrite64", 18, 68},
	{"pwritev", 296, 70},
	{"pwritev2", 328, 287},
	{"read", 0, 63},
	{"readahead", 187, 213},
	{"readlinkat", 267, 78},
	{"readv", 19, 65},
	{"recvfrom", 45, 207},
	{"recvmmsg", 299, 243},
	{"recvmsg", 47, 212},
	{"renameat", 264, 38},
	{"renameat2", 316, 276},
	{"restart_syscall", 219, 128},
	{"rseq", 334, 293},
	{"rt_sigaction", 13, 134},
	{"rt_sigpending", 127, 136},
	{"rt_sigprocmask", 14, 135},
	{"rt_sigreturn", 15, 139},
	{"rt_sigsuspend", 130, 133},
	{"rt_sigtimedwait", 128, 137},
	{"sched_get_priority_max", 146, 125},
	{"sched_get_priority_min", 147, 126},
	{"sched_getaffinity", 204, 123},
	{"sched_getparam", 143, 121},
	{"sched_getscheduler", 145, 120},
	{"sched_yield", 24, 124},
	{"sendfile", 40, 71},
	{"sendmmsg", 307, 269},
	{"sendmsg", 46, 211},
	{"sendto", 44, 206},
	{"set_robust_list", 273, 99},
	{"set_tid_address", 218, 96},
	{"setitimer", 38, 103},
	{"shutdown", 48, 210},
	{"sigaltstack", 131, 132},
	{"signalfd4", 289, 74},
	{"splice", 275, 76},
	{"statfs", 137, 43},
	{"statx", 332, 291},
	{"symlinkat", 266, 36},
	{"sync_file_range", 277, 84},
	{"sysinfo", 99, 179},
	{"tee", 276, 77},
	{"tgkill", 234, 131},
	{"timer_create", 222, 107},
	{"timer_delete", 226, 111},
	{"timer_getoverrun", 225, 109},
	{"timer_gettime", 224, 108},
	{"timer_settime", 223, 110},
	{"timerfd_create", 283, 85},
	{"timerfd_gettime", 287, 87},
	{"timerfd_settime", 286, 86},
	{"times", 100, 153},
	{"tkill", 200, 130},
	{"truncate", 76, 45},
	{"umask", 95, 166},
	{"uname", 63, 160},
	{"unlinkat", 263, 35},
	{"utimensat", 280, 88},
	{"wait4", 61, 260},
	{"waitid", 247, 95},
	{"write", 1, 64},
	{"writev", 20, 66},
	{"access", 21, absent},
	{"alarm", 37, absent},
	{"arch_prctl", 158, absent},
	{"chmod", 90, absent},
	{"chown", 92, absent},
	{"creat", 85, absent},
	{"dup2", 33, absent},
	{"eventfd", 284, absent},
	{"fork", 57, absent},
	{"getdents", 78, absent},
	{"getpgrp", 111, absent},
	{"lchown", 94, absent},
	{"link", 86, absent},
	{"lstat", 6, absent},
	{"mkdir", 83, absent},
	{"open", 2, absent},
	{"pause", 34, absent},
	{"pipe", 22, absent},
	{"poll", 7, absent},
	{"readlink", 89, absent},
	{"rename", 82, absent},
	{"rmdir", 84, absent},
	{"select", 23, absent},
	{"signalfd", 282, absent},
	{"stat", 4, absent},
	{"symlink", 88, absent},
	{"time", 201, absent},
	{"unlink", 87, absent},
	{"utime", 132, absent},
	{"utimes", 235, absent},
	{"vfork", 58, absent},
}
