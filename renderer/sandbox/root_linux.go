// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// stage is where a new root is put together before it becomes the root. The
// folder exists everywhere; what it hides has been opened before.
const stage = "/tmp"

// openMounts opens copies of the host's mounts, detached and read-only. It is
// done by the user who can read them, before any other step.
func openMounts(mounts []mount, attr uint64) ([]int, error) {
	fds := make([]int, 0, len(mounts))
	for _, m := range mounts {
		if m.FD != 0 {
			fds = append(fds, m.FD)
			continue
		}
		fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			return nil, fmt.Errorf("open_tree %s: %w", m.Source, err)
		}
		// Remounting would fail on flags that a namespace has locked.
		set := &unix.MountAttr{Attr_set: attr, Propagation: unix.MS_PRIVATE}
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, set); err != nil {
			return nil, fmt.Errorf("mount_setattr %s: %w", m.Source, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// putMounts attaches opened mounts below root, making the folders that they
// need, and closes them.
func putMounts(root string, mounts []mount, fds []int) error {
	for i, m := range mounts {
		if err := putMount(fds[i], filepath.Join(root, m.Target)); err != nil {
			return fmt.Errorf("mount %s: %w", m.Target, err)
		}
		unix.Close(fds[i])
	}
	return nil
}

func putMount(fd int, target string) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
	} else {
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		point, err := unix.Open(target, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		unix.Close(point)
	}
	return unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// newTmpfs makes a detached file system in memory whose root belongs to owner,
// a user and group of the caller's namespace.
func newTmpfs(space Space, owner int, attr int) (int, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen tmpfs: %w", err)
	}
	defer unix.Close(fs)
	for _, option := range [][2]string{
		{"size", strconv.FormatInt(space.Bytes, 10)},
		{"nr_inodes", strconv.FormatInt(space.Files+1, 10)}, // and its root
		{"mode", "0755"},
		{"uid", strconv.Itoa(owner)},
		{"gid", strconv.Itoa(owner)},
	} {
		if err := unix.FsconfigSetString(fs, option[0], option[1]); err != nil {
			return -1, fmt.Errorf("tmpfs %s=%s: %w", option[0], option[1], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("tmpfs: %w", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attr)
	if err != nil {
		return -1, fmt.Errorf("fsmount tmpfs: %w", err)
	}
	return fd, nil
}

const (
	readOnlyAttr = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	deviceAttr   = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC
	dataAttr     = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
)

// buildRoot makes the order's view the root of this mount namespace, and
// nothing else reachable. become is called once all sources are open.
func buildRoot(o *confineOrder, become func() error) error {
	fds, err := openMounts(o.Mounts, readOnlyAttr)
	if err != nil {
		return err
	}
	var devs []mount
	for _, d := range devices {
		devs = append(devs, mount{Source: d, Target: d})
	}
	devFDs, err := openMounts(devs, deviceAttr)
	if err != nil {
		return err
	}
	if err := become(); err != nil {
		return err
	}

	root, err := newTmpfs(Space{1 << 20, 4096}, jobUser, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return err
	}
	if err := unix.MoveMount(root, "", unix.AT_FDCWD, stage, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount root at %s: %w", stage, err)
	}
	// Folders of the job first: a runtime may lie below /tmp.
	for _, m := range o.Memory {
		fd, err := newTmpfs(m.Space, jobUser, dataAttr)
		if err != nil {
			return err
		}
		if err := putMounts(stage, []mount{{Target: m.Path}}, []int{fd}); err != nil {
			return err
		}
	}
	if err := putMounts(stage, o.Mounts, fds); err != nil {
		return err
	}
	if err := putMounts(stage, devs, devFDs); err != nil {
		return err
	}
	for _, l := range o.Links {
		if err := os.Symlink(l.Target, filepath.Join(stage, l.Path)); err != nil {
			return err
		}
	}

	// The old root ends up below the new one, at the same place, and goes.
	if err := unix.Chdir(stage); err != nil {
		return fmt.Errorf("chdir: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("chdir: %w", err)
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: readOnlyAttr}); err != nil {
		return fmt.Errorf("root read-only: %w", err)
	}
	if err := unix.Sethostname([]byte("sandbox")); err != nil {
		return fmt.Errorf("sethostname: %w", err)
	}
	return nil
}
