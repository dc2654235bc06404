// SPDX-License-Identifier: MIT

package p2p_test

import (
	"bufio"
	"bytes"
	"context"
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
	Self  job.PeerID    `json:"self,omitempty"`  // its first line after "start"
	Addrs []string      `json:"addrs,omitempty"` // of that
	Err   string        `json:"err,omitempty"`   // of "ask"
	Event p2p.EventKind `json:"event"`
	Peer  job.PeerID    `json:"peer,omitempty"`
	After time.Duration `json:"after"` // since Start was called
}

// asked is the kind of a report about an "ask".
const asked p2p.EventKind = -1

// runNode is a process that is a node of mesh "m", for tests in which each
// node needs a network namespace. It reads from its standard input "start", with
// the address of a peer or none, "stop", and "ask" with a peer id, whom it sends as
// much as a request may have, and who sends it back. Each start is a new node. It ends
// with the input.
func runNode() error {
	var host *p2p.Host
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "start":
			h, err := p2p.New(p2p.Config{Mesh: "m", Peers: words[1:]})
			if err != nil {
				return err
			}
			host = h
			h.Answer(func(_ context.Context, _ job.PeerID, data []byte) ([]byte, error) { return data, nil })
			begin := time.Now()
			if err := h.Start(); err != nil {
				return err
			}
			if err := out.Encode(report{Self: h.Self(), Addrs: h.Addrs()}); err != nil {
				return err
			}
			go func() {
				for e := range h.Events() {
					_ = out.Encode(report{Event: e.Kind, Peer: e.Peer, After: time.Since(begin)})
				}
			}()
		case "ask":
			text := bytes.Repeat([]byte("x"), 60<<10)
			begin := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			back, err := host.Request(ctx, job.PeerID(words[1]), text)
			cancel()
			r := report{Event: asked, After: time.Since(begin)}
			if err != nil || !bytes.Equal(back, text) {
				r.Err = fmt.Sprintf("%d bytes back: %v", len(back), err)
			}
			if err := out.Encode(r); err != nil {
				return err
			}
		case "stop":
			if err := host.Close(); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}
