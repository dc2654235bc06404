// SPDX-License-Identifier: MIT

//go:build !linux

package sandbox

func onStarter(f func() error) error { return f() }
