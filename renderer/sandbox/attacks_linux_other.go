// SPDX-License-Identifier: MIT

//go:build linux && !amd64

package sandbox

// onMachine are attacks that this architecture alone has.
var onMachine []aim
