// SPDX-License-Identifier: MIT

package lan

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
)

// switchPort is the bridge in a network's own namespace.
const switchPort = "br0"

// made counts the networks of this process, for their names.
var made atomic.Int64

// Network is a switch with computers 1 to N on it. Its methods are for one
// goroutine at a time.
type Network struct {
	name      string
	computers int
	groups    map[int]string // control groups of the computers with a quota
}

// New makes a network of n computers, 1 to 250. The caller must Close it.
func New(n int) (*Network, error) {
	if n < 1 || n > 250 {
		return nil, fmt.Errorf("lan: %d computers asked for: 1 to 250 have an address", n)
	}
	l := &Network{name: fmt.Sprintf("lan%d", made.Add(1)), computers: n, groups: make(map[int]string)}
	if err := l.up(); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Network) up() error {
	hub := l.name + "-switch"
	err := inOrder(
		"netns add "+hub,
		"-n "+hub+" link set lo up",
		"-n "+hub+" link add "+switchPort+" type bridge mcast_snooping 0",
		"-n "+hub+" link set "+switchPort+" up",
	)
	for i := 1; i <= l.computers && err == nil; i++ {
		host := l.host(i)
		err = inOrder(
			"netns add "+host,
			"-n "+host+" link set lo up",
			fmt.Sprintf("link add eth0 netns %s type veth peer name port%d netns %s", host, i, hub),
			fmt.Sprintf("-n %s link set port%d master %s up", hub, i, switchPort),
			fmt.Sprintf("-n %s addr add %s/24 dev eth0", host, l.Address(i)),
			"-n "+host+" link set eth0 up",
			"-n "+host+" route add 224.0.0.0/4 dev eth0",
		)
	}
	return err
}

// Close removes the computers. What still runs on one keeps running there.
func (l *Network) Close() error {
	for i := 1; i <= l.computers; i++ {
		_ = ip("netns del " + l.host(i)) // missing after a failed New
	}
	for _, group := range l.groups {
		_ = os.Remove(group) // held by whatever still runs in it
	}
	return ip("netns del " + l.name + "-switch")
}

// Address returns the IPv4 address of computer i.
func (l *Network) Address(i int) string { return fmt.Sprintf("10.77.0.%d", i) }

// Command returns a command that runs on computer i, in its quota if it has
// one. The process that is started becomes the program itself: its id is the
// program's, and signals reach it.
func (l *Network) Command(i int, program string, args ...string) *exec.Cmd {
	argv := append([]string{"netns", "exec", l.host(i), program}, args...)
	if group := l.groups[i]; group != "" {
		join := `echo 0 >"$0" && exec ip "$@"`
		return exec.Command("sh", append([]string{"-c", join, group + "/cgroup.procs"}, argv...)...)
	}
	return exec.Command("ip", argv...)
}

// Cut unplugs the cable of computer i, at the switch.
func (l *Network) Cut(i int) error { return l.cable(i, "down") }

// Join plugs it in again.
func (l *Network) Join(i int) error { return l.cable(i, "up") }

func (l *Network) cable(i int, state string) error {
	return ip(fmt.Sprintf("-n %s-switch link set port%d %s", l.name, i, state))
}

func (l *Network) host(i int) string { return fmt.Sprintf("%s-%d", l.name, i) }

func inOrder(commands ...string) error {
	for _, c := range commands {
		if err := ip(c); err != nil {
			return err
		}
	}
	return nil
}

// ip runs the ip command with space-separated arguments.
func ip(args string) error {
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("lan: ip %s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}
