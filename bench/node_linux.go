// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Deadlines of waits that are over much sooner.
const (
	readyTime = 2 * time.Minute
	endTime   = 20 * time.Second
	pollTime  = 20 * time.Millisecond
)

// node is a running meshnode.
type node struct {
	at      *place
	home    string
	process *exec.Cmd
	begun   time.Time
}

// newHome makes a home whose node knows the Python.
func (b *bench) newHome() (string, error) {
	home, err := os.MkdirTemp("", "h")
	if err != nil {
		return "", err
	}
	return home, os.CopyFS(filepath.Join(home, "environments"), os.DirFS(b.homes))
}

// start runs a node. The caller must stop it.
func start(at *place, home string, args ...string) (*node, error) {
	log, err := os.Create(filepath.Join(home, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	n := &node{at: at, home: home, begun: time.Now()}
	n.process = command(at, append([]string{"run", "--home", home}, args...)...)
	n.process.Stdout, n.process.Stderr = log, log
	return n, n.process.Start()
}

// stop ends the node.
func (n *node) stop() error {
	ended := make(chan error, 1)
	go func() { ended <- n.process.Wait() }()
	_ = n.process.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-time.After(endTime):
		_ = n.process.Process.Kill()
		<-ended
		return errors.New("a node did not end")
	}
}

// status is what `meshnode status` prints.
type status struct {
	Self  peer   `json:"self"`
	Peers []peer `json:"peers"`
}

type peer struct {
	ID    string  `json:"id"`
	Speed float64 `json:"speed"` // 0: not measured yet
}

// until waits for a status.
func (n *node) until(what string, met func(status) bool) error {
	for deadline := time.Now().Add(readyTime); time.Now().Before(deadline); time.Sleep(pollTime) {
		out, err := command(n.at, "status", "--home", n.home, "--json").Output()
		var s status
		if err == nil && json.Unmarshal(out, &s) == nil && met(s) {
			return nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(n.home, "log"))
	return fmt.Errorf("after %v still not: %s\n%s", readyTime, what, log[max(0, len(log)-4000):])
}

// ready waits until the node can render and knows that many peers that can.
func (n *node) ready(peers int) error {
	return n.until("ready to render", func(s status) bool {
		can := 0
		for _, p := range s.Peers {
			if p.Speed > 0 {
				can++
			}
		}
		return s.Self.Speed > 0 && can == peers
	})
}

// settle waits until the node does nothing: its next engine is warm.
func (n *node) settle() error {
	const quiet = 700 * time.Millisecond
	for deadline := time.Now().Add(readyTime); time.Now().Before(deadline); {
		before := cpuOf(n.process.Process.Pid)
		time.Sleep(quiet)
		if cpuOf(n.process.Process.Pid)-before < 0.1*quiet.Seconds() {
			return nil
		}
	}
	return errors.New("a node never comes to rest")
}

// event is a line of `publish --json`.
type event struct {
	Event  string `json:"event"`
	Done   int    `json:"done"`
	Frames int    `json:"frames"`
	Nodes  []struct {
		Name   string `json:"name"`
		Self   bool   `json:"self"`
		Frames int    `json:"frames"`
	} `json:"nodes"`
	at time.Duration // since the key press
}

// publish renders a scene and returns the events; see, which may be nil, sees
// each when it comes.
func publish(at *place, home string, s scene, media string, see func(event), args ...string) ([]event, error) {
	args = append([]string{"publish", "--home", home, "--json", "--trust", "mine", "--media_dir", media}, args...)
	cmd := command(at, append(args, s.file, s.name)...)
	cmd.Dir = filepath.Dir(s.file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var events []event
	for lines := json.NewDecoder(out); ; {
		var e event
		if lines.Decode(&e) != nil {
			break
		}
		e.at = time.Since(begun)
		events = append(events, e)
		if see != nil {
			see(e)
		}
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("publish %s: %w: %+v", s.name, err, events[max(0, len(events)-2):])
	}
	return events, nil
}
