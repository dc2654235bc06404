// SPDX-License-Identifier: MIT

package lan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// quotaPeriod is how often a quota is filled again, in microseconds: the
// kernel's default.
const quotaPeriod = 100_000

// Quota bounds the CPU time of what is started on computer i from now on:
// 0.5 is half a core. It needs root and a control group file system, of version
// 1 or 2.
func (l *Network) Quota(i int, cores float64) error {
	const version1, version2 = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"
	quota, period := fmt.Sprint(int(cores*quotaPeriod)), fmt.Sprint(quotaPeriod)
	if isDir(version1) {
		return l.group(i, version1, "cpu.cfs_period_us", period, "cpu.cfs_quota_us", quota)
	}
	if err := os.WriteFile(filepath.Join(version2, "cgroup.subtree_control"), []byte("+cpu"), 0); err != nil {
		return fmt.Errorf("lan: CPU quota: %w", err)
	}
	return l.group(i, version2, "cpu.max", quota+" "+period)
}

// group makes the control group of computer i and writes its settings, names
// and values by turns.
func (l *Network) group(i int, parent string, settings ...string) error {
	dir := filepath.Join(parent, groupPrefix(os.TempDir())+l.host(i))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("lan: CPU quota: %w", err)
	}
	l.groups[i] = dir
	for s := 0; s < len(settings); s += 2 {
		if err := os.WriteFile(filepath.Join(dir, settings[s]), []byte(settings[s+1]), 0); err != nil {
			return fmt.Errorf("lan: CPU quota: %w", err)
		}
	}
	return nil
}

// groupPrefix begins the names of a program's control groups, which no
// namespace keeps apart: the name of its folder for temporary files is its own.
func groupPrefix(tmp string) string { return filepath.Base(tmp) + "-" }

// removeGroups removes the control groups that a program has left.
func removeGroups(tmp string) {
	for _, parent := range []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup"} {
		left, _ := filepath.Glob(filepath.Join(parent, groupPrefix(tmp)+"*"))
		for _, dir := range left {
			_ = os.Remove(dir)
		}
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
