// SPDX-License-Identifier: MIT

//go:build unix

package sandbox

import (
	"os"
	"syscall"
)

// group is the process group of a job in Direct, of which its first process is the
// leader.
type group struct{ leader *os.Process }

func newGroup(leader *os.Process) (*group, error) { return &group{leader}, nil }

// kill ends the processes of the group and reports whether there were any.
func (g *group) kill() bool { return syscall.Kill(-g.leader.Pid, syscall.SIGKILL) == nil }

func (g *group) close() {}
