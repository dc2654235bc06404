// SPDX-License-Identifier: MIT

package environment

import "os"

// flush writes a file to the drive. A folder cannot be, and needs no call.
func flush(path string, folder bool) error {
	if folder {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0) // what is open for reading alone cannot be flushed
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
