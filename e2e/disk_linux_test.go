// SPDX-License-Identifier: MIT

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownDisk gives a computer a disk of its own, of memory, for its home. It goes with
// the namespaces of the tests.
func (c *computer) ownDisk() {
	t := c.mesh.t
	t.Helper()
	if err := unix.Mount("disk", c.home, "tmpfs", 0, "size=2g"); err != nil {
		t.Fatal(err)
	}
}

// leaveFree resizes the disk so that so many MiB are free on it.
func (c *computer) leaveFree(mib uint64) {
	t := c.mesh.t
	t.Helper()
	var disk unix.Statfs_t
	err := unix.Statfs(c.home, &disk)
	if err == nil {
		used := (disk.Blocks - disk.Bfree) * uint64(disk.Bsize)
		err = unix.Mount("disk", c.home, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", used+mib<<20))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A worker whose disk fills up while it renders leaves that to the others, says why,
// and renders again when there is room.
func TestFullDisk(t *testing.T) {
	slowFilmOf(t)
	m := newMesh(t, 3)
	submitter, full, other := m.computers[0].withManim(), m.computers[1], m.computers[2].withManim()
	full.ownDisk()
	full.withManim()
	submitter.start("--slots", "0")
	full.start("--slots", "1")
	other.start("--slots", "1")
	m.joined()

	p := submitter.publish(slowArgs...)
	p.until("the worker has rendered something", func(e event) bool { return e.by(full.name()) > 0 })
	full.leaveFree(100)
	e := p.finished()
	if e.by(other.name()) == 0 {
		t.Errorf("the other one has rendered nothing: %+v", e.Nodes)
	}
	sameFilm(t, e)
	notes := func() string { return strings.Join(full.status().Notes, "\n") }
	eventually(t, readyTime, "the node says that its disk is full", func() bool { return strings.Contains(notes(), "nearly full") })
	quick := []string{"-ql", "--seed", "7", "--cell-frames", "5", "--disable_caching", "scenes.py", "Turning"}
	if e := submitter.publish(quick...).finished(); e.by(full.name()) > 0 {
		t.Errorf("it has rendered without room: %+v", e.Nodes)
	}

	full.leaveFree(1500)
	eventually(t, readyTime, "the node has room", func() bool { return notes() == "" })
	other.do("pause")
	if e := submitter.publish(quick...).finished(); e.by(full.name()) == 0 {
		t.Errorf("it has rendered nothing again: %+v", e.Nodes)
	}
}
