// SPDX-License-Identifier: MIT

//go:build unix

package p2p

import "os"

// syncDir makes a rename inside the folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
