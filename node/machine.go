// SPDX-License-Identifier: MIT

package node

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// slotMemory is what a slot needs, in bytes: a 1080p60 render peaked at 620 to
// 780 MB in one process.
const slotMemory = 800 << 20

// availableMemory returns the bytes that programs can still take; 0 where the
// system does not tell.
func availableMemory() uint64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		value, ok := strings.CutPrefix(line, "MemAvailable:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}

// slotsByMachine returns how many cells this machine can render at a time: one
// a core, fewer where memory is short, at least one.
func slotsByMachine() uint32 {
	slots := uint64(runtime.NumCPU())
	if available := availableMemory(); available > 0 {
		slots = min(slots, available/slotMemory)
	}
	return uint32(max(1, slots))
}
