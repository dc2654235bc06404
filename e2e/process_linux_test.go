// SPDX-License-Identifier: MIT

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// process is a living one that is not the test's own.
type process struct {
	id, parent int
	args       []string
}

func (p process) String() string { return fmt.Sprintf("process %d: %.200q", p.id, p.args) }

// processes lists what the tests have started and what came of it: /proc shows
// nothing else. Zombies are left out; nobody takes those of orphans.
func processes() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		panic(err)
	}
	var found []process
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil || id == os.Getpid() {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil { // it has just ended
			continue
		}
		// The name in brackets may contain anything.
		after := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(after) < 2 || after[0] == "Z" || after[0] == "X" {
			continue
		}
		parent, err := strconv.Atoi(after[1])
		if err != nil {
			panic(err)
		}
		line, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		found = append(found, process{id, parent, args})
	}
	return found
}

// strays lists the processes that do not descend from those with the given ids.
func strays(of []int) []process {
	all := processes()
	parents := make(map[int]int)
	for _, p := range all {
		parents[p.id] = p.parent
	}
	return slices.DeleteFunc(all, func(p process) bool {
		for id := p.id; id != 0; id = parents[id] {
			if slices.Contains(of, id) {
				return true
			}
		}
		return false
	})
}

// below returns the ids of the processes that the node has below it.
func (c *computer) below() []int {
	node := c.node.Process.Pid
	others := strays([]int{node})
	var ids []int
	for _, p := range processes() {
		if p.id != node && !slices.ContainsFunc(others, func(o process) bool { return o.id == p.id }) {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// countProcesses returns how many have all those arguments.
func countProcesses(args ...string) int {
	n := 0
	for _, p := range processes() {
		lacks := func(arg string) bool { return !slices.Contains(p.args, arg) }
		if !slices.ContainsFunc(args, lacks) {
			n++
		}
	}
	return n
}
