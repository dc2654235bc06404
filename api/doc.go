// SPDX-License-Identifier: MIT

// Package api is the local door of a node: HTTP with JSON over a Unix socket in
// the node's home, mode 0600, for programs of the same user. Nothing that
// changes state is reachable by GET.
package api
