// SPDX-License-Identifier: MIT

//go:build !race

package sandbox

const raceDetector = false
