// SPDX-License-Identifier: MIT

package blockstore

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// freeBytes returns what this user may still write to the volume of a folder.
func freeBytes(dir string) (uint64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return free, nil
}
