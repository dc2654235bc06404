// SPDX-License-Identifier: MIT

package api

import "io/fs"

// The folder for temporary files is the user's own on Windows.
func socketFolder() string { return "meshnode" }

func private(fs.FileInfo) bool { return true }
