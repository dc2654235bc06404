// SPDX-License-Identifier: MIT

package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// obeysEscapes asks the console to obey escape sequences, which it does since
// Windows 10 when asked.
func obeysEscapes(f *os.File) bool {
	console := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
