// SPDX-License-Identifier: MIT

package p2p_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
)

// nodeVariable makes the test binary a node, see runNode.
const nodeVariable = "MESHNODE_TEST_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(nodeVariable) != "" {
		if err := runNode(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// report is what a node process says, one JSON object a line.
type report struct {
	Self  job.PeerID    `json:"self,omitempty"` // its first line after "start"
	Event p2p.EventKind `json:"event"`
	Peer  job.PeerID    `json:"peer,omitempty"`
	After time.Duration `json:"after"` // since Start was called
}

// runNode is a process that is a node of mesh "m", for tests in which each
// node needs a network namespace. It reads "start" and "stop" from its
// standard input; each start is a new node. It ends with the input.
func runNode() error {
	var host *p2p.Host
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch strings.TrimSpace(lines.Text()) {
		case "start":
			h, err := p2p.New(p2p.Config{Mesh: "m"})
			if err != nil {
				return err
			}
			host = h
			if err := out.Encode(report{Self: h.Self()}); err != nil {
				return err
			}
			begin := time.Now()
			if err := h.Start(); err != nil {
				return err
			}
			go func() {
				for e := range h.Events() {
					_ = out.Encode(report{Event: e.Kind, Peer: e.Peer, After: time.Since(begin)})
				}
			}()
		case "stop":
			if err := host.Close(); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}
