// SPDX-License-Identifier: MIT

// Package blockstore keeps file sets as content-addressed blocks and moves them
// between nodes.
package blockstore
