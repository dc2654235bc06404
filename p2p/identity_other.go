// SPDX-License-Identifier: MIT

//go:build !unix

package p2p

import "io/fs"

// checkOwner trusts the access list that the file inherits from its folder.
func checkOwner(string, string, fs.FileInfo) error { return nil }
