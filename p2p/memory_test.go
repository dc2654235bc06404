// SPDX-License-Identifier: MIT

package p2p_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"meshnode/p2p"
	"meshnode/p2p/p2ptest"
)

// bubble runs a test on virtual time. With the race detector and more than one
// processor a bubble can hang: golang.org/issue/78156.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if raceDetector {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	synctest.Test(t, f)
}

// memoryFactory puts all nodes on one board.
func memoryFactory(faults *p2p.Faults) p2ptest.Factory {
	board := p2p.NewSwitchboard(faults)
	return func(t *testing.T, mesh string, number int) p2ptest.Node {
		m, err := board.NewMemory(mesh, uint64(number))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
}

func TestMemory(t *testing.T) {
	for _, tc := range p2ptest.Tests {
		t.Run(tc.Name, func(t *testing.T) { tc.Run(t, memoryFactory(p2p.NewFaults(1))) })
	}
}

// The same tests on virtual time and a slow network, whose delays let messages
// overtake each other.
func TestMemoryVirtual(t *testing.T) {
	for _, tc := range p2ptest.Tests {
		t.Run(tc.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				faults := p2p.NewFaults(2)
				faults.MinDelay, faults.MaxDelay = time.Millisecond, 30*time.Millisecond
				tc.Run(t, memoryFactory(faults))
			})
		})
	}
}
