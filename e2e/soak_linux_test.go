// SPDX-License-Identifier: MIT

package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var soakJobs = flag.Int("soak", 0, "films of TestSoak; 0: it is skipped")

// used is what a node has of its computer.
type used struct {
	processes, descriptors, scratch int
	memory                          int // MiB resident, of the node's own process
}

func (u used) String() string {
	return fmt.Sprintf("%d processes, %d descriptors, %d folders of engines, %d MiB", u.processes, u.descriptors, u.scratch, u.memory)
}

// uses measures an idle node.
func (c *computer) uses() (u used) {
	t := c.mesh.t
	t.Helper()
	id := c.node.Process.Pid
	u.processes = len(processes()) - len(strays([]int{id}))
	descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", id))
	if err != nil {
		t.Fatal(err)
	}
	u.descriptors = len(descriptors)
	folders, err := os.ReadDir(filepath.Join(c.home, "scratch"))
	if err != nil {
		t.Fatal(err)
	}
	u.scratch = len(folders)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", id))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	u.memory = resident * os.Getpagesize() >> 20
	return u
}

// TestSoak renders film after film, of real Manim, on the same three nodes: after all of
// them they have what they had after five.
func TestSoak(t *testing.T) {
	if *soakJobs == 0 {
		t.Skip("no -soak")
	}
	m := houseOf(t)
	var early, late []used
	all := func() (of []used) {
		m.forget()
		m.noStrays()
		for _, c := range m.computers[:3] {
			eventually(t, endTime, "engines to end", func() bool { return c.uses().scratch <= 2 }) // those that are kept warm
			of = append(of, c.uses())
		}
		return of
	}
	for i := range *soakJobs {
		sameFilm(t, m.computers[0].publish(append([]string{"--disable_caching"}, slowArgs...)...).finished())
		if i == 4 {
			early = all()
		}
	}
	late = all()
	for i := range early {
		// An engine more or less is kept warm, with its processes.
		t.Logf("%s after 5: %v; after %d: %v", m.computers[i].name(), early[i], *soakJobs, late[i])
		if e, l := early[i], late[i]; l.processes > e.processes+3 || l.descriptors > e.descriptors+5 || l.scratch > e.scratch+1 || l.memory > e.memory*5/4+16 {
			t.Errorf("%s: something grows with the number of films", m.computers[i].name())
		}
	}
}
