// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a rule grants. A rule on a file takes only the rights of files.
const (
	readRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_EXECUTE
	deviceRight = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	// Plain files and folders; no links, sockets, pipes or devices, no programs.
	writeRights = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR |
		unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REFER
	fileRights = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_EXECUTE
)

// handled returns what a kernel of that Landlock version can forbid; rights
// that it does not know would be refused.
func handled(version int) unix.LandlockRulesetAttr {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1}
	if version >= 2 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
}

// attrSize is how much of the attributes a kernel of that version reads.
func attrSize(version int) uintptr {
	switch {
	case version < 4:
		return 8
	case version < 6:
		return 16
	}
	return 24
}

// rule grants rights to what lies at an open path.
type rule struct {
	fd     int
	path   string
	rights uint64
}

// openRules opens what a job may read and run, what is its own, and devices. The
// paths are looked up here, by whoever can.
func openRules(readable, writable, devices []string) ([]rule, error) {
	var rules []rule
	for _, group := range []struct {
		paths  []string
		rights uint64
	}{{readable, readRights}, {writable, writeRights}, {devices, deviceRight}} {
		for _, path := range group.paths {
			fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, fmt.Errorf("landlock: open %s: %w", path, err)
			}
			var stat unix.Stat_t
			if err := unix.Fstat(fd, &stat); err != nil {
				return nil, fmt.Errorf("landlock: stat %s: %w", path, err)
			}
			rights := group.rights
			if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
				rights &= fileRights
			}
			rules = append(rules, rule{fd, path, rights})
		}
	}
	return rules, nil
}

// landlock restricts the calling thread, and what it starts or becomes, to the
// rules. It needs no_new_privs, and at least that version.
func landlock(rules []rule, least int) error {
	version, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return fmt.Errorf("landlock is off in this kernel (%w): start it with lsm=landlock,… or take a kernel that has it", errno)
	}
	if int(version) < least {
		return fmt.Errorf("landlock has version %d here, %d is needed (Linux 6.12)", version, least)
	}
	attr := handled(int(version))
	set, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), attrSize(int(version)), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: rules refused: %w", errno)
	}
	defer unix.Close(int(set))
	for _, r := range rules {
		beneath := unix.LandlockPathBeneathAttr{Allowed_access: r.rights & attr.Handled_access_fs, Parent_fd: int32(r.fd)}
		if _, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, set, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&beneath)), 0, 0, 0); errno != 0 {
			return fmt.Errorf("landlock: rule for %s: %w", r.path, errno)
		}
		unix.Close(r.fd)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: not entered: %w", errno)
	}
	return nil
}
