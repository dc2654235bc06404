// SPDX-License-Identifier: MIT

// Package scheduler holds all policy of the mesh: who renders which cells, what
// happens when a node is slow, silent or gone, and the life of a job. It is pure:
// [Scheduler.Step] takes the time and an event and returns actions. It knows no
// network, no clock, no goroutine and no disk.
package scheduler
