// SPDX-License-Identifier: MIT

//go:build !unix

package p2p

// syncDir does nothing where folders cannot be synced.
func syncDir(string) error { return nil }
