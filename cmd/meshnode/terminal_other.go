// SPDX-License-Identifier: MIT

//go:build !windows

package main

import "os"

func obeysEscapes(*os.File) bool { return true }
