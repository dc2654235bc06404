// SPDX-License-Identifier: MIT

// Command demo makes three computers of this one and lets them render
// examples/mesh.py together. Each is a network namespace with an address of its
// own, and the three nodes on them find each other by mDNS alone. Where
// namespaces are not permitted, it says so, and the nodes share the loopback
// interface and are told of each other by address.
//
// "make demo" builds ./meshnode, sets Manim up and starts it, from the root of
// the repository. Nothing outlives it but the film.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"meshnode/e2e/lan"
)

// The times that each stage may take, on a slow and busy machine.
const (
	startTime  = 2 * time.Minute // until all nodes see each other and have tried their Manim
	renderTime = 20 * time.Minute
	stopTime   = 10 * time.Second
)

// errRefused: waiting longer will not help.
var errRefused = errors.New("does not render for others")

var names = []string{"kitchen", "studio", "attic"}

// event is what is read of the lines of "meshnode publish --json".
type event struct {
	Event  string `json:"event"`
	Text   string `json:"text"`
	Frames int    `json:"frames"`
	Done   int    `json:"done"`
	Cells  int    `json:"cells"`
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	Nodes  []struct {
		Name   string `json:"name"`
		Frames int    `json:"frames"`
	} `json:"nodes"`
}

// peer is what is read of "meshnode peers --json" and "status --json".
type peer struct {
	Name      string            `json:"name"`
	Addrs     []string          `json:"addrs"`
	Sandbox   string            `json:"sandbox"`
	Lacks     string            `json:"lacks"`
	Renderers []json.RawMessage `json:"renderers"`
}

func main() {
	err := lan.Enter(func(string) error { return nil })
	if err != nil {
		fmt.Printf("Computers of their own are not possible here (%v).\nThe nodes share this one's loopback interface instead.\n", err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := demo(ctx, err == nil); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo runs the three nodes and the job. Its nodes end with it.
func demo(ctx context.Context, ownComputers bool) (err error) {
	// Sockets lie under it, whose paths must be short.
	tmp, err := os.MkdirTemp("", "demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	d := &stage{tmp: tmp}
	if ownComputers {
		if d.network, err = lan.New(len(names)); err != nil {
			return err
		}
		defer d.network.Close()
	}
	defer d.stop()
	defer func() {
		if err != nil && ctx.Err() == nil {
			d.printLogs()
		}
	}()

	for i := range names {
		if err := d.start(ctx, i); err != nil {
			return err
		}
	}
	begun := time.Now()
	if err := d.wait(ctx); err != nil {
		return err
	}
	fmt.Printf("Three nodes are one mesh after %.1f s.\n\n", time.Since(begun).Seconds())
	return d.publish(ctx)
}

// stage is the computers and the nodes on them.
type stage struct {
	tmp     string
	network *lan.Network // nil: all on the loopback interface
	nodes   []*exec.Cmd
	first   string // address of the first node, for --peer
}

func (d *stage) home(i int) string { return filepath.Join(d.tmp, strconv.Itoa(i)) }

// command returns a meshnode command on computer i, with that node's home.
func (d *stage) command(i int, args ...string) *exec.Cmd {
	args = append(args, "--home", d.home(i))
	program, err := filepath.Abs("meshnode")
	if err != nil {
		program = "./meshnode"
	}
	if d.network == nil {
		return exec.Command(program, args...)
	}
	return d.network.Command(i+1, program, args...)
}

// start starts node i. The caller stops it.
func (d *stage) start(ctx context.Context, i int) error {
	args := []string{"run", "--name", names[i], "--mesh", "demo", "--slots", strconv.Itoa(max(1, runtime.NumCPU()/len(names)))}
	if python := os.Getenv("MESHNODE_PYTHON"); python != "" {
		args = append(args, "--python", python)
	}
	if d.network == nil {
		args = append(args, "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0")
		if i > 0 {
			args = append(args, "--peer", d.first)
		}
	}
	log, err := os.Create(d.home(i) + ".log")
	if err != nil {
		return err
	}
	defer log.Close() // the node has its own handle
	cmd := d.command(i, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	d.nodes = append(d.nodes, cmd)
	where := "127.0.0.1"
	if d.network != nil {
		where = d.network.Address(i + 1)
	}
	fmt.Printf("  %-8s starts on %s\n", names[i], where)
	if d.network != nil || i > 0 {
		return nil
	}
	return d.until(ctx, func() error {
		var s struct {
			Self peer `json:"self"`
		}
		if err := d.ask(ctx, 0, &s, "status"); err != nil {
			return err
		}
		if len(s.Self.Addrs) == 0 {
			return errors.New("the first node has no address yet")
		}
		d.first = s.Self.Addrs[0]
		return nil
	})
}

// wait waits until the first node sees the others, and all can render.
func (d *stage) wait(ctx context.Context) error {
	return d.until(ctx, func() error {
		var status struct {
			Self peer `json:"self"`
		}
		var seen struct {
			Peers []peer `json:"peers"`
		}
		if err := errors.Join(d.ask(ctx, 0, &status, "status"), d.ask(ctx, 0, &seen, "peers")); err != nil {
			return err
		}
		if len(seen.Peers) < len(names)-1 {
			return fmt.Errorf("%s sees %d peers", names[0], len(seen.Peers))
		}
		for _, p := range append(seen.Peers, status.Self) {
			if p.Lacks != "" {
				return fmt.Errorf("%s %w: %s", p.Name, errRefused, p.Lacks)
			}
			if len(p.Renderers) == 0 {
				return fmt.Errorf("%s has no renderer yet", p.Name)
			}
		}
		return nil
	})
}

// until repeats check until it returns nil, a node ends, or the time for it is
// over.
func (d *stage) until(ctx context.Context, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := check()
		if err == nil || errors.Is(err, errRefused) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// ask runs a command that answers in JSON.
func (d *stage) ask(ctx context.Context, i int, answer any, args ...string) error {
	out, err := d.command(i, append(args, "--json")...).Output()
	if err != nil {
		return fmt.Errorf("meshnode %s: %w", args[0], err)
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("meshnode %s: %w", args[0], err)
	}
	return ctx.Err()
}

// publish renders the film on the first node's computer and tells who did what.
func (d *stage) publish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	script := filepath.Join("examples", "mesh.py")
	fmt.Printf("%s$ meshnode publish %s Mesh -ql --seed 0 --trust mine\n", names[0], script)
	cmd := d.command(0, "publish", script, "Mesh", "-ql", "--seed", "0", "--trust", "mine", "--disable_caching", "--json")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	stopped := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) })
	last, err := follow(bufio.NewScanner(out))
	stopped()
	if err := errors.Join(err, cmd.Wait(), ctx.Err()); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if last.Event != "finished" {
		return errors.New("publish ended without a film")
	}
	fmt.Printf("\n%s\n  sha256 %s, after %.1f s\n\n", last.File, last.SHA256, time.Since(begun).Seconds())
	idle := slices.Clone(names)
	for _, n := range last.Nodes {
		fmt.Printf("  %-8s %4d frames\n", n.Name, n.Frames)
		if n.Frames > 0 {
			idle = slices.DeleteFunc(idle, func(name string) bool { return name == n.Name })
		}
	}
	if len(idle) > 0 {
		return fmt.Errorf("these nodes rendered nothing: %v", idle)
	}
	return nil
}

// follow prints the progress of a job, a line for each tenth, and returns its
// last event.
func follow(lines *bufio.Scanner) (last event, err error) {
	lines.Buffer(nil, 1<<20)
	tenth := 0
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return last, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		last = e
		switch e.Event {
		case "planned":
			fmt.Printf("  %d frames in %d cells\n", e.Frames, e.Cells)
		case "note", "failed":
			fmt.Println(" ", e.Text)
		case "progress":
			if e.Frames == 0 || e.Done*10/e.Frames <= tenth {
				continue
			}
			tenth = e.Done * 10 / e.Frames
			fmt.Printf("  %3d %%", tenth*10)
			for _, n := range e.Nodes {
				fmt.Printf("   %s %d", n.Name, n.Frames)
			}
			fmt.Println()
		}
	}
	return last, lines.Err()
}

// stop ends the nodes and waits for them.
func (d *stage) stop() {
	for _, n := range d.nodes {
		_ = n.Process.Signal(os.Interrupt)
	}
	for _, n := range d.nodes {
		kill := time.AfterFunc(stopTime, func() { _ = n.Process.Kill() })
		_ = n.Wait() // how a node ends does not matter here
		kill.Stop()
	}
}

// printLogs shows what the nodes said last.
func (d *stage) printLogs() {
	for i := range d.nodes {
		b, err := os.ReadFile(d.home(i) + ".log")
		if err != nil {
			continue
		}
		b = b[max(0, len(b)-2000):]
		fmt.Fprintf(os.Stderr, "--- %s\n%s\n", names[i], b)
	}
}
