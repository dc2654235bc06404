// SPDX-License-Identifier: MIT

package environment

import "golang.org/x/sys/windows"

// freeDisk returns the bytes that this user may still write under path.
func freeDisk(path string) (uint64, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, err
	}
	return free, nil
}
