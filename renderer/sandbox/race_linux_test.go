// SPDX-License-Identifier: MIT

//go:build race

package sandbox

// A program under the race detector needs terabytes of address space and cannot
// be a job.
const raceDetector = true
