// SPDX-License-Identifier: MIT

package environment

import (
	"os"

	"golang.org/x/sys/unix"
)

// persistTree makes all in a folder outlast a power cut: with its whole file
// system, which is many times quicker than its ten thousand files one by one.
func persistTree(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}
