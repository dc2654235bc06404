// SPDX-License-Identifier: MIT

// Package e2e tests meshnode from the outside: real processes and real Manim,
// on computers of their own ([meshnode/e2e/lan]) that find each other by mDNS.
//
// It needs Linux, permission to make network namespaces (root, or user
// namespaces), and in MESHNODE_PYTHON the path of a Python with Manim; tests
// that lack one of them skip, and say so. With -short all of them do. The
// program under test is built by the test itself, which the test cache does not
// see: run it with -count=1.
package e2e
