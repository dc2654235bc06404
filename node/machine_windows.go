// SPDX-License-Identifier: MIT

package node

import "golang.org/x/sys/windows"

// freeDisk returns the bytes free for this user where dir is, and whether the
// system tells.
func freeDisk(dir string) (uint64, bool) {
	var free uint64
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil || windows.GetDiskFreeSpaceEx(path, &free, nil, nil) != nil {
		return 0, false
	}
	return free, true
}
