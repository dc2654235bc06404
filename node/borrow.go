// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"meshnode/job"
	"meshnode/renderer"
)

// borrowTime bounds how long a scene waits for a file.
const borrowTime = 25 * time.Second

// askAgain is the time between two requests for a file when the submitter has
// not heard of this node's claim yet.
const askAgain = 500 * time.Millisecond

// borrower returns what brings files of a job into an engine.
func (n *Node) borrower(m *job.Manifest, id job.ID, engine renderer.Engine) renderer.Missing {
	var mu sync.Mutex // guards count
	count := 0
	return func(ctx context.Context, name string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, borrowTime)
		defer cancel()
		cid, err := n.borrow(ctx, m.Submitter, &job.Missing{Job: id, Path: name})
		if err != nil {
			n.log.Warn("file not borrowed", "job", id.Short(), "path", name, "err", err)
			return "", err
		}
		mu.Lock()
		count++
		at := fmt.Sprintf("lent/%d", count)
		mu.Unlock()
		if err := n.exportLent(ctx, engine.In(), at, cid, m.Submitter, id); err != nil {
			n.log.Warn("file not borrowed", "job", id.Short(), "path", name, "err", err)
			return "", fmt.Errorf("it did not arrive here: %w", err)
		}
		n.log.Debug("file borrowed", "job", id.Short(), "path", name)
		return path.Join(at, name), nil
	}
}

// borrow asks the submitter for a file until it has answered.
func (n *Node) borrow(ctx context.Context, submitter job.PeerID, m *job.Missing) (job.CID, error) {
	for {
		answer, err := n.askForFile(ctx, submitter, m)
		if err != nil {
			return "", fmt.Errorf("the submitter does not answer: %w", err)
		}
		if answer.Files != "" {
			return answer.Files, nil
		}
		refused := fmt.Errorf("%w: %s", renderer.ErrRefused, answer.Reason)
		if !answer.Again {
			return "", refused
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return "", errors.New(answer.Reason)
		}
	}
}

// askForFile is one request of borrow.
func (n *Node) askForFile(ctx context.Context, submitter job.PeerID, m *job.Missing) (*job.Supplied, error) {
	if submitter == n.self { // a referee asks
		return n.lendTo(ctx, n.self, m), nil
	}
	signed, err := job.Seal(n.parts.Network, m)
	if err != nil {
		return nil, err
	}
	raw, err := n.parts.Network.Request(ctx, submitter, signed.Raw)
	if err != nil {
		return nil, err
	}
	answer, err := job.Open(n.parts.Network, raw)
	if err != nil {
		return nil, err
	}
	supplied, ok := answer.Msg.(*job.Supplied)
	if !ok || answer.From != submitter || supplied.Job != m.Job || supplied.Path != m.Path {
		return nil, errors.New("it answered something else")
	}
	return supplied, nil
}

// exportLent fetches a set of one file and writes it below a new folder of an
// engine.
func (n *Node) exportLent(ctx context.Context, in *os.Root, at string, cid job.CID, from job.PeerID, id job.ID) error {
	if err := n.parts.Store.Pin(ctx, string(id), cid); err != nil {
		return err
	}
	if _, err := n.parts.Store.Fetch(ctx, cid, []job.PeerID{from}, n.roomFor(maxLent)); err != nil {
		return err
	}
	if err := in.Mkdir(path.Dir(at), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := in.Mkdir(at, 0o700); err != nil {
		return err
	}
	root, err := in.OpenRoot(at)
	if err != nil {
		return err
	}
	defer root.Close()
	return n.parts.Store.Export(ctx, cid, root)
}
