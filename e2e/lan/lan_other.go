// SPDX-License-Identifier: MIT

//go:build !linux

package lan

import (
	"errors"
	"os/exec"
)

var errLinux = errors.New("lan: network namespaces are Linux only")

// Network is a switch with computers on it, which only Linux has.
type Network struct{}

// Enter returns an error: there are no namespaces to enter.
func Enter(func(tmp string) error) error { return errLinux }

// New returns an error.
func New(int) (*Network, error) { return nil, errLinux }

// Close does nothing.
func (*Network) Close() error { return nil }

// Address returns nothing.
func (*Network) Address(int) string { return "" }

// Command returns the command without a computer of its own.
func (*Network) Command(_ int, program string, args ...string) *exec.Cmd {
	return exec.Command(program, args...)
}

// Cut returns an error.
func (*Network) Cut(int) error { return errLinux }

// Join returns an error.
func (*Network) Join(int) error { return errLinux }

// Quota returns an error.
func (*Network) Quota(int, float64) error { return errLinux }
