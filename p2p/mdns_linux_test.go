// SPDX-License-Identifier: MIT

package p2p_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
)

// mDNS reaches every machine of a network, so these tests run in network
// namespaces of their own.

const namespaceVariable = "MESHNODE_TEST_NAMESPACE"

// inNamespace reports whether the test runs in an empty network namespace. If
// not, it runs the test again in one and takes over the result; the caller
// returns at once.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(namespaceVariable) == t.Name() {
		return true
	}
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs the command %s", tool)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=150s", "-test.parallel=8") // they wait more than they work
	cmd.Env = append(os.Environ(), namespaceVariable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		t.Logf("in a network namespace:\n%s", out)
	case errors.As(err, &exit):
		t.Fatalf("in a network namespace:\n%s%v", out, err)
	default:
		t.Skipf("no network namespace to be had: %v", err)
	}
	return false
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// discovering returns a host of a mesh that uses mDNS on all interfaces.
func discovering(t *testing.T, mesh string) *p2p.Host {
	t.Helper()
	h, err := p2p.New(p2p.Config{Mesh: mesh})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	go func() {
		for range h.Events() {
		}
	}()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

func peersOf(h *p2p.Host) (ids []job.PeerID) {
	for _, p := range h.Peers() {
		ids = append(ids, p.ID)
	}
	return ids
}

func TestMDNSFindsItsMesh(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ip(t, "link", "set", "lo", "up", "multicast", "on")
	a, other, b := discovering(t, "m"), discovering(t, "n"), discovering(t, "m")
	eventually(t, "a join", func() bool { return len(a.Peers()) == 1 && len(b.Peers()) == 1 })
	if got := append(peersOf(a), peersOf(b)...); !slices.Equal(got, []job.PeerID{b.Self(), a.Self()}) {
		t.Errorf("joined %v", got)
	}
	if got := peersOf(other); len(got) != 0 {
		t.Errorf("joined %v of another mesh", got)
	}
}

// A node may start before the network does: a laptop that wakes, a service
// that is early at boot.
func TestMDNSLateInterface(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a := discovering(t, "m")
	time.Sleep(1500 * time.Millisecond) // past the first look at the interfaces
	ip(t, "link", "set", "lo", "up", "multicast", "on")
	up := time.Now()
	b := discovering(t, "m")
	eventually(t, "a join", func() bool { return len(a.Peers()) == 1 && len(b.Peers()) == 1 })
	t.Logf("joined %v after the interface came up", time.Since(up).Round(time.Millisecond))
}

// Where there is no IPv6, libp2p's own discovery does not look for anybody.
func TestMDNSWithoutIPv6(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0); err != nil {
		t.Skipf("IPv6 cannot be disabled here: %v", err)
	}
	ip(t, "link", "set", "lo", "up", "multicast", "on")
	a, b := discovering(t, "m"), discovering(t, "m")
	eventually(t, "a join", func() bool { return len(a.Peers()) == 1 && len(b.Peers()) == 1 })
}

// lan is a bridge with nodes on it, each a process in a namespace of its own.
type lan struct {
	t      *testing.T
	bridge string
	nodes  []*lanNode
}

type lanNode struct {
	t       *testing.T
	port    string // the bridge's end of its first cable
	stdin   io.WriteCloser
	reports chan report
	pid     int
}

func newLAN(t *testing.T, bridge string) *lan {
	ip(t, "link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
	ip(t, "link", "set", bridge, "up")
	return &lan{t: t, bridge: bridge}
}

// add plugs in a node with the given addresses.
func (l *lan) add(addrs ...string) *lanNode {
	t := l.t
	t.Helper()
	n := &lanNode{t: t, reports: make(chan report, 1000)}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), nodeVariable+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var err error
	if n.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.pid = cmd.Process.Pid
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(n.reports)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var r report
			if json.Unmarshal(lines.Bytes(), &r) == nil {
				n.reports <- r
			}
		}
	}()
	t.Cleanup(func() {
		n.stdin.Close()
		<-ended
		_ = cmd.Wait()
	})
	n.ip("link", "set", "lo", "up")
	n.port = l.plug(n, "eth0", addrs...)
	l.nodes = append(l.nodes, n)
	return n
}

// plug gives a node a cable to the bridge, and returns the bridge's end of it.
func (l *lan) plug(n *lanNode, name string, addrs ...string) (port string) {
	l.t.Helper()
	port = fmt.Sprintf("%s-%d", l.bridge, n.pid)
	ip(l.t, "link", "add", port, "master", l.bridge, "up", "type", "veth", "peer", "name", name, "netns", fmt.Sprint(n.pid))
	n.ip("link", "set", name, "up")
	for _, a := range addrs {
		n.ip("addr", "add", a, "dev", name, "nodad")
	}
	return port
}

// ip runs the command in the node's namespace.
func (n *lanNode) ip(args ...string) {
	n.t.Helper()
	args = append([]string{"-t", fmt.Sprint(n.pid), "-n", "ip"}, args...)
	if out, err := exec.Command("nsenter", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("nsenter %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (n *lanNode) tell(line string) {
	n.t.Helper()
	if _, err := fmt.Fprintln(n.stdin, line); err != nil {
		n.t.Fatal(err)
	}
}

// next returns the next event of a kind; others are passed over.
func (n *lanNode) next(kind p2p.EventKind, wait time.Duration) report {
	n.t.Helper()
	return n.until(fmt.Sprintf("event of kind %d", kind), wait, func(r report) bool { return r.Self == "" && r.Event == kind })
}

// begin starts a node, and returns who it is.
func (n *lanNode) begin(peers ...string) report {
	n.t.Helper()
	n.tell("start " + strings.Join(peers, " "))
	return n.until("start", 20*time.Second, func(r report) bool { return r.Self != "" })
}

func (n *lanNode) until(what string, wait time.Duration, is func(report) bool) report {
	n.t.Helper()
	deadline := time.After(wait)
	for {
		select {
		case r, ok := <-n.reports:
			if !ok {
				n.t.Fatal("the node has ended")
			}
			if is(r) {
				return r
			}
		case <-deadline:
			n.t.Fatalf("no %s within %v", what, wait)
		}
	}
}

// Twelve nodes with addresses of one IPv4 /24 and one IPv6 /56, neither of
// them private, are more than libp2p's own limits let in.
func TestMDNSTwelveNodes(t *testing.T) {
	if raceDetector {
		t.Skip("two dozen processes under the race detector take minutes")
	}
	if !inNamespace(t) {
		return
	}
	for _, family := range []struct{ name, prefix, length string }{{"IPv4", "198.51.100.", "/24"}, {"IPv6", "2001:db8::", "/64"}} {
		t.Run(family.name, func(t *testing.T) {
			l := newLAN(t, "br0")
			defer ip(t, "link", "del", "br0")
			for i := range 12 {
				l.add(fmt.Sprintf("%s%d%s", family.prefix, i+1, family.length))
			}
			begin := time.Now()
			for _, n := range l.nodes {
				n.tell("start")
			}
			for _, n := range l.nodes {
				for range len(l.nodes) - 1 {
					n.next(p2p.Joined, 60*time.Second)
				}
			}
			t.Logf("66 pairs joined within %v", time.Since(begin).Round(time.Millisecond))
		})
	}
}

// A cable is pulled, and put back with another address: the peers leave and
// join again.
func TestMDNSCableCut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	if !inNamespace(t) {
		return
	}
	l := newLAN(t, "br0")
	a, b := l.add("10.1.0.1/24"), l.add("10.1.0.2/24")
	a.tell("start")
	b.tell("start")
	a.next(p2p.Joined, 20*time.Second)
	b.next(p2p.Joined, 20*time.Second)
	cut := time.Now()
	ip(t, "link", "set", b.port, "down")
	a.next(p2p.Left, 60*time.Second)
	b.next(p2p.Left, 60*time.Second)
	t.Logf("left %v after the cut", time.Since(cut).Round(time.Millisecond))
	b.ip("addr", "del", "10.1.0.2/24", "dev", "eth0")
	b.ip("addr", "add", "10.1.0.3/24", "dev", "eth0")
	back := time.Now()
	ip(t, "link", "set", b.port, "up")
	a.next(p2p.Joined, 60*time.Second)
	b.next(p2p.Joined, 60*time.Second)
	t.Logf("joined %v after the repair", time.Since(back).Round(time.Millisecond))
}

// TestMDNSJoinTime measures the time from Start to Joined, on the node that
// starts second and on both when they start at once.
func TestMDNSJoinTime(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	if !inNamespace(t) {
		return
	}
	l := newLAN(t, "br0")
	a, b := l.add("10.1.0.1/24", "fd00:1::1/64"), l.add("10.1.0.2/24", "fd00:1::2/64")
	for _, second := range []bool{true, false} {
		var times []time.Duration
		for range 20 {
			a.tell("start")
			if second {
				time.Sleep(1200 * time.Millisecond) // until its announcements are over
			}
			b.tell("start")
			times = append(times, b.next(p2p.Joined, 30*time.Second).After)
			a.next(p2p.Joined, 30*time.Second)
			a.tell("stop")
			b.tell("stop")
		}
		slices.Sort(times)
		median, worst := times[len(times)/2], times[len(times)-1]
		t.Logf("second to start: %v; start to joined: median %v, worst of %d %v", second,
			median.Round(time.Millisecond), len(times), worst.Round(time.Millisecond))
		if median > 2*time.Second {
			t.Errorf("median %v", median)
		}
	}
}
