// SPDX-License-Identifier: MIT

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"meshnode/e2e/lan"
)

// Deadlines of the tests. They bound waits that are over much sooner: the
// machine may be slow, and shared.
const (
	startTime  = 30 * time.Second  // for a node to listen
	readyTime  = 180 * time.Second // for all nodes to know each other and be able to render
	renderTime = 180 * time.Second // for a job
	endTime    = 20 * time.Second  // for a process that is to end
	pollTime   = 200 * time.Millisecond
)

// eventually waits for a condition.
func eventually(t *testing.T, within time.Duration, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !met(); time.Sleep(pollTime) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", within, what)
		}
	}
}

// mesh is a network of computers.
type mesh struct {
	t         *testing.T // the one that uses it now
	network   *lan.Network
	computers []*computer // the first is number 1
}

// newMesh makes computers on a network. At the end of the test their nodes are
// stopped, and no process may be left.
func newMesh(t *testing.T, computers int) *mesh {
	t.Helper()
	if notPermitted != nil {
		t.Skip(notPermitted)
	}
	network, err := lan.New(computers)
	if err != nil {
		t.Fatal(err)
	}
	m := &mesh{t: t, network: network}
	for i := 1; i <= computers; i++ {
		m.computers = append(m.computers, &computer{mesh: m, number: i, home: folder(t)})
	}
	t.Cleanup(func() {
		if t.Failed() {
			m.printLogs()
		}
		if err := m.close(); err != nil {
			t.Error(err)
		}
		m.noStrays()
	})
	return m
}

// house is the mesh that most tests share: a start of a node costs seconds.
// Computers 1 to 3 run nodes that can render; the fourth is a spare one.
var house *mesh

// houseOf returns the shared mesh as if it were new: all three nodes run, know
// each other and are idle. One cell at a time is rendered by each, as the machine
// under them is one. After a test that fails, it is made anew.
func houseOf(t *testing.T) *mesh {
	t.Helper()
	needManim(t)
	if house == nil {
		if notPermitted != nil {
			t.Skip(notPermitted)
		}
		network, err := lan.New(4)
		if err != nil {
			t.Fatal(err)
		}
		house = &mesh{t: t, network: network}
		for i := 1; i <= 4; i++ {
			house.computers = append(house.computers, &computer{mesh: house, number: i, home: folder(t)})
		}
		for _, c := range house.computers[:3] {
			c.withManim()
		}
	}
	m := house
	m.t = t
	t.Cleanup(func() {
		m.t = t
		m.noStrays()
		if !t.Failed() {
			return
		}
		m.printLogs()
		house = nil
		if err := m.close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range m.computers {
		c.markLog()
		if c.node == nil && c.number <= 3 {
			c.start("--slots", "1")
		}
	}
	m.joined()
	m.forget()
	return m
}

// close stops the nodes that still run.
func (m *mesh) close() error {
	var failed error
	for _, c := range m.computers {
		if c.node == nil {
			continue
		}
		if code, err := c.end(syscall.SIGTERM); code != 0 {
			failed = errors.Join(failed, fmt.Errorf("computer %d: its node ended with code %d: %w", c.number, code, err))
		}
	}
	return errors.Join(failed, m.network.Close())
}

// noStrays fails the test for processes that belong to no running node, and
// ends them.
func (m *mesh) noStrays() {
	nodes := m.nodes()
	if house != nil && house != m {
		nodes = append(nodes, house.nodes()...)
	}
	var left []process
	for deadline := time.Now().Add(endTime); time.Now().Before(deadline); time.Sleep(pollTime) {
		if left = strays(nodes); len(left) == 0 {
			return
		}
	}
	for _, p := range left {
		m.t.Errorf("left over: %v", p)
		_ = syscall.Kill(p.id, syscall.SIGKILL)
	}
}

// nodes returns the process ids of the running nodes.
func (m *mesh) nodes() []int {
	var ids []int
	for _, c := range m.computers {
		if c.node != nil {
			ids = append(ids, c.node.Process.Pid)
		}
	}
	return ids
}

func (m *mesh) printLogs() {
	for _, c := range m.computers {
		m.t.Logf("computer %d, end of its log:\n%s", c.number, c.logTail())
	}
}

// computer has one home, and at most one node that the test started there.
type computer struct {
	mesh   *mesh
	number int
	home   string
	env    []string // of its commands, beside environment()
	node   *exec.Cmd
	ended  chan struct{} // closed when the node has
	logged int64         // bytes of its log that are older than the test
}

// withManim makes the computer's node use the Python under test. What is found
// out about it, once, is copied: that takes seconds.
func (c *computer) withManim() *computer {
	c.mesh.t.Helper()
	needManim(c.mesh.t)
	known, err := manimHome()
	if err == nil {
		err = os.CopyFS(filepath.Join(c.home, "environments"), os.DirFS(known))
	}
	if err != nil {
		c.mesh.t.Fatal(err)
	}
	return c
}

var manimHome = sync.OnceValues(func() (string, error) {
	home := filepath.Join(os.TempDir(), "setup")
	cmd := exec.Command(program(), "setup", "--home", home, "--python", python())
	cmd.Env = environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("meshnode setup: %w\n%s", err, out)
	}
	return filepath.Join(home, "environments"), nil
})

// name is what the node on this computer is called.
func (c *computer) name() string { return fmt.Sprintf("pc%d", c.number) }

// command returns a command of meshnode on this computer, in the project's
// folder.
func (c *computer) command(name string, args ...string) *exec.Cmd {
	cmd := c.mesh.network.Command(c.number, program(), append([]string{name, "--home", c.home}, args...)...)
	cmd.Dir, cmd.Env = project(), append(slices.Clone(environment()), c.env...)
	return cmd
}

// start runs a node until the end of the test, and waits until it listens.
func (c *computer) start(args ...string) *computer {
	t := c.mesh.t
	t.Helper()
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := c.command("run", append([]string{"--name", c.name(), "--verbose"}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	c.node, c.ended = cmd, ended
	eventually(t, startTime, fmt.Sprintf("node %d answers", c.number), func() bool {
		select {
		case <-ended:
			t.Fatalf("node %d ended at once:\n%s", c.number, c.logTail())
		default:
		}
		var s status
		return c.ask(&s, "status") == nil && s.Self.ID != ""
	})
	return c
}

// stop sends the node a signal and returns its exit code, -1 for one ended by a
// signal.
func (c *computer) stop(signal syscall.Signal) int {
	c.mesh.t.Helper()
	code, err := c.end(signal)
	if err != nil {
		c.mesh.t.Error(err)
	}
	return code
}

// end is stop without a test.
func (c *computer) end(signal syscall.Signal) (code int, err error) {
	cmd := c.node
	c.node = nil
	_ = cmd.Process.Signal(signal) // unless it has ended by itself
	select {
	case <-c.ended:
	case <-time.After(endTime):
		_ = cmd.Process.Kill()
		<-c.ended
		err = fmt.Errorf("computer %d: its node was still there %v after %v", c.number, endTime, signal)
	}
	return cmd.ProcessState.ExitCode(), err
}

// signal sends the node a signal that does not end it.
func (c *computer) signal(signal syscall.Signal) {
	c.mesh.t.Helper()
	if err := c.node.Process.Signal(signal); err != nil {
		c.mesh.t.Fatal(err)
	}
}

// losePower ends the node and the publish that runs here at the same moment, so that
// neither sees the other end.
func (c *computer) losePower(p *publication) {
	c.mesh.t.Helper()
	c.signal(syscall.SIGSTOP)
	p.kill()
	c.stop(syscall.SIGKILL)
	p.code()
}

func (c *computer) logFile() string { return filepath.Join(c.home, "node.log") }

// markLog makes log and logTail begin here.
func (c *computer) markLog() {
	if info, err := os.Stat(c.logFile()); err == nil {
		c.logged = info.Size()
	}
}

// log returns what the node has logged during this test.
func (c *computer) log() string {
	log, err := os.ReadFile(c.logFile())
	if err != nil {
		return ""
	}
	return string(log[min(c.logged, int64(len(log))):])
}

func (c *computer) logTail() string {
	lines := strings.Split(c.log(), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// answer is what a command printed, and its exit code.
type answer struct {
	out, err string
	code     int
}

// do carries out a command of meshnode.
func (c *computer) do(name string, args ...string) answer {
	c.mesh.t.Helper()
	return finish(c.mesh.t, c.command(name, args...))
}

// finish runs a command to its end.
func finish(t *testing.T, cmd *exec.Cmd) answer {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), renderTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !stop() {
		t.Fatalf("%v took over %v:\n%s%s", cmd.Args, renderTime, &out, &stderr)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ask decodes what a command prints with --json.
func (c *computer) ask(into any, name string) error {
	c.mesh.t.Helper()
	a := c.do(name, "--json")
	if a.code != 0 {
		return fmt.Errorf("%s: exit code %d: %s", name, a.code, a.err)
	}
	return json.Unmarshal([]byte(a.out), into)
}

// peer is what peers and status print of a node.
type peer struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Addrs     []string `json:"addrs"`
	Slots     int      `json:"slots"`
	Speed     float64  `json:"speed"`
	Sandbox   string   `json:"sandbox"`
	Renderers []any    `json:"renderers"`
	Lacks     string   `json:"lacks"` // why it does not render for others
}

func (p peer) renders() bool {
	return len(p.Renderers) > 0 && p.Speed > 0 && p.Sandbox != "" && p.Sandbox != "none"
}

type status struct {
	Self   peer     `json:"self"`
	Mesh   string   `json:"mesh"`
	Mark   string   `json:"mark"` // of a private mesh
	Blocks uint64   `json:"blocks"`
	Notes  []string `json:"notes"`
}

// knownJob is what jobs prints of a job.
type knownJob struct {
	ID    string       `json:"id"`
	State string       `json:"state"`
	Done  int          `json:"done"`
	Nodes []nodeFrames `json:"nodes"`
}

func (j knownJob) ended() bool {
	return j.State == "finished" || j.State == "failed" || j.State == "canceled"
}

func (c *computer) peers() []peer {
	t := c.mesh.t
	t.Helper()
	var a struct{ Peers []peer }
	if err := c.ask(&a, "peers"); err != nil {
		t.Fatal(err)
	}
	return a.Peers
}

func (c *computer) status() status {
	t := c.mesh.t
	t.Helper()
	var s status
	if err := c.ask(&s, "status"); err != nil {
		t.Fatal(err)
	}
	return s
}

// openJobs are the jobs that the node knows and that have not ended.
func (c *computer) openJobs() []knownJob {
	t := c.mesh.t
	t.Helper()
	var a struct{ Jobs []knownJob }
	if err := c.ask(&a, "jobs"); err != nil {
		t.Fatal(err)
	}
	var open []knownJob
	for _, j := range a.Jobs {
		if !j.ended() {
			open = append(open, j)
		}
	}
	return open
}

// held returns how many cells this node still has to render.
func (c *computer) held() int {
	c.mesh.t.Helper()
	sum := 0
	for _, j := range c.openJobs() {
		for _, n := range j.Nodes {
			if n.Self {
				sum += n.Held
			}
		}
	}
	return sum
}

// forget waits until no node has an open job.
func (m *mesh) forget() {
	m.t.Helper()
	for _, c := range m.computers {
		if c.node == nil {
			continue
		}
		eventually(m.t, endTime, fmt.Sprintf("computer %d has forgotten the job", c.number), func() bool { return len(c.openJobs()) == 0 })
	}
}

// joined waits until each node knows all others, and that they can render.
func (m *mesh) joined() {
	m.t.Helper()
	var running []*computer
	for _, c := range m.computers {
		if c.node != nil {
			running = append(running, c)
		}
	}
	for _, c := range running {
		eventually(m.t, readyTime, fmt.Sprintf("computer %d knows %d peers that render", c.number, len(running)-1), func() bool {
			ready := 0
			for _, p := range c.peers() {
				if p.renders() {
					ready++
				}
			}
			return ready == len(running)-1 && c.status().Self.renders()
		})
	}
}
