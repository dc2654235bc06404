// SPDX-License-Identifier: MIT

// Package api is the local door of a node: HTTP with JSON, for programs of the same
// user, over a Unix socket in the node's home, mode 0600; on systems that are no Unix
// over a port of 127.0.0.1, with a token from a file in the home. Nothing that changes
// state is reachable by GET.
package api
