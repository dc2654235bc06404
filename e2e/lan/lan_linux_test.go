// SPDX-License-Identifier: MIT

package lan

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

var notPermitted error

// dialEnv makes the test program dial that address and say by its exit code
// whether the computer there answered.
const dialEnv = "LAN_TEST_DIAL"

func TestMain(m *testing.M) {
	if addr := os.Getenv(dialEnv); addr != "" {
		_, err := net.DialTimeout("tcp", addr, time.Second)
		if !errors.Is(err, syscall.ECONNREFUSED) { // nobody listens there
			os.Exit(1)
		}
		os.Exit(0)
	}
	notPermitted = Enter(func(string) error { return nil })
	os.Exit(m.Run())
}

func newNetwork(t *testing.T, n int) *Network {
	t.Helper()
	if notPermitted != nil {
		t.Skip(notPermitted)
	}
	l, err := New(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// reaches says whether computer a gets an answer from computer b.
func reaches(l *Network, a, b int) bool {
	cmd := l.Command(a, os.Args[0])
	cmd.Env = append(os.Environ(), dialEnv+"="+l.Address(b)+":9")
	return cmd.Run() == nil
}

func TestCables(t *testing.T) {
	l := newNetwork(t, 3)
	for i := 1; i <= 3; i++ {
		for j := 1; j <= 3; j++ {
			if !reaches(l, i, j) {
				t.Errorf("computer %d does not reach %d", i, j)
			}
		}
	}
	if err := l.Cut(2); err != nil {
		t.Fatal(err)
	}
	if reaches(l, 1, 2) || !reaches(l, 1, 3) {
		t.Error("with the cable of computer 2 cut, 1 should reach 3 only")
	}
	if err := l.Join(2); err != nil {
		t.Fatal(err)
	}
	if !reaches(l, 1, 2) {
		t.Error("computer 2 is not reached again")
	}
}

// Two networks have the same addresses and do not see each other.
func TestNetworksAreApart(t *testing.T) {
	a, b := newNetwork(t, 1), newNetwork(t, 2)
	show := func(l *Network) string {
		out, err := l.Command(1, "ip", "-o", "-4", "addr", "show", "eth0").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for _, l := range []*Network{a, b} {
		if got := show(l); !strings.Contains(got, l.Address(1)+"/24") {
			t.Errorf("computer 1 has no address %s: %s", l.Address(1), got)
		}
	}
	if reaches(a, 1, 2) {
		t.Error("a computer of the other network is reached")
	}
}

func TestOnlyOwnProcessesAreSeen(t *testing.T) {
	newNetwork(t, 1)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var pid int
		if n, _ := fmt.Sscan(e.Name(), &pid); n == 1 && pid != 1 {
			comm, _ := os.ReadFile("/proc/" + e.Name() + "/comm")
			t.Errorf("process %d is seen: %s", pid, comm)
		}
	}
}

func TestQuota(t *testing.T) {
	l := newNetwork(t, 1)
	if err := l.Quota(1, 0.2); err != nil {
		t.Skip(err)
	}
	spin := l.Command(1, "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
	if err := spin.Run(); err != nil {
		t.Fatal(err)
	}
	group, err := os.ReadFile(l.groups[1] + "/cpu.stat")
	if err != nil {
		t.Skip(err)
	}
	var throttled int
	for line := range strings.Lines(string(group)) {
		if n, _ := fmt.Sscanf(line, "nr_throttled %d", &throttled); n == 1 {
			break
		}
	}
	if throttled == 0 {
		t.Errorf("never throttled on %d cores: %s", runtime.NumCPU(), group)
	}
}
