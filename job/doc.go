// SPDX-License-Identifier: MIT

// Package job is the vocabulary that all rooms of meshnode share: peers,
// content ids, jobs and their cells, the messages of a job, file sets, and one
// deterministic encoding for all of them. It does no I/O.
//
// A job is one render of one scene. Its immutable [Manifest] holds the frame
// table; the [Grid] of cells follows from that table alone, so every node cuts
// the job at the same places. A cell is the smallest unit of work, output,
// storage and checking.
//
// Everything that arrives from another node is decoded here, under the limits
// of limits.go, which are checked before memory is spent.
package job
