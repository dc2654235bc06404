// SPDX-License-Identifier: MIT

package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"

	"meshnode/node"
)

// Limits on what a client reads and waits for. The node is the same user's, so
// they guard against mistakes, not malice.
const (
	maxAnswer   = 32 << 20         // bytes of an answer: the status of a large mesh
	maxEvent    = 8 << 20          // bytes of one event: a long traceback
	callTimeout = 10 * time.Second // for everything but streams
)

// ErrNoNode is wrapped when no node listens for the home.
var ErrNoNode = errors.New("api: no node is running for this home")

// ErrBroken is wrapped when the node goes away in the middle of a stream.
var ErrBroken = errors.New("api: the node ended before it had answered")

// Error is a request that the node refused.
type Error struct {
	Status int    // HTTP status, 4xx or 5xx
	Text   string // the node's reason, one line
}

func (e *Error) Error() string { return e.Text }

// Client talks to the node that owns one home. All methods are safe for
// concurrent use; all but Publish, Watch, Finish, Bundle, Explain, Verify, Follow, Hold and
// those of the store give up after ten seconds.
type Client struct {
	door door
}

// NewClient returns a client of the node that owns home. It does not connect.
func NewClient(home string) *Client { return &Client{doorOf(home)} }

// Publish submits a job and calls on for each event, in order, until the job
// has finished or failed, which is not an error of Publish. Ending ctx before
// that cancels the job, unless the request is detached.
func (c *Client) Publish(ctx context.Context, req node.PublishRequest, on func(node.Event)) error {
	return c.events(ctx, http.MethodPost, "/v1/publish", req, on)
}

// Watch calls on for each event of a job that was published on this node, named as
// for Cancel, those that have been first. It returns as Publish does; ending ctx ends
// nothing else.
func (c *Client) Watch(ctx context.Context, id string, on func(node.Event)) error {
	return c.events(ctx, http.MethodGet, "/v1/jobs/"+url.PathEscape(id)+"/watch", nil, on)
}

// Finish makes a film of another node's job, req.Job, here. It returns as Publish does;
// ending ctx ends nothing else.
func (c *Client) Finish(ctx context.Context, req node.FinishRequest, on func(node.Event)) error {
	return c.events(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(req.Job)+"/finish", req, on)
}

// Bundle returns what the node knows of a job, named as for Cancel, as node.Bundle
// writes it; with assets, those of the job's files too that the node has. The caller
// must close it.
func (c *Client) Bundle(ctx context.Context, id string, assets bool) (io.ReadCloser, error) {
	path := "/v1/jobs/" + url.PathEscape(id) + "/bundle"
	if assets {
		path += "?assets=1"
	}
	resp, err := c.open(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Explain plans a scene and draws samples of it, and calls on for each event, in
// order, the last of which is "explained" or "failed". The latter is not an error
// of Explain.
func (c *Client) Explain(ctx context.Context, req node.PublishRequest, on func(node.Event)) error {
	return c.events(ctx, http.MethodPost, "/v1/explain", req, on)
}

// Verify draws cells of a film again, compares them with it, and calls on for each
// event, in order, the last of which is "verified" or "failed". The latter is not an
// error of Verify.
func (c *Client) Verify(ctx context.Context, req node.VerifyRequest, on func(node.Event)) error {
	return c.events(ctx, http.MethodPost, "/v1/verify", req, on)
}

// events makes a request and calls on for each event of the answer, up to the
// last.
func (c *Client) events(ctx context.Context, method, path string, in any, on func(node.Event)) error {
	resp, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var e node.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("api: read an event of the job: %w", err)
		}
		on(e)
		switch e.Event {
		case "finished", "explained", "verified", "failed":
			return nil
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return ErrBroken
}

// Film is a film that is being rendered, as a fragmented MP4. Reading it waits
// for what is not there yet, and ends with [io.ErrUnexpectedEOF] when the job
// does not bring a whole film.
type Film struct {
	io.ReadCloser
	Name string // of its file: the scene's, with an extension
}

// Follow begins to watch a job that was published on this node, named as for
// Cancel. The caller must close the film.
func (c *Client) Follow(ctx context.Context, id string, req node.FollowRequest) (*Film, error) {
	resp, err := c.open(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/follow", req)
	if err != nil {
		return nil, err
	}
	film := &Film{ReadCloser: resp.Body, Name: "film.mp4"}
	if _, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil && params["filename"] != "" {
		film.Name = params["filename"]
	}
	return film, nil
}

// Status returns what the node knows of itself, its peers and its jobs.
func (c *Client) Status(ctx context.Context) (s node.Status, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Peers returns the other nodes of the mesh, without the node itself.
func (c *Client) Peers(ctx context.Context) ([]node.PeerStatus, error) {
	var answer struct {
		Peers []node.PeerStatus `json:"peers"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/peers", nil, &answer)
	return answer.Peers, err
}

// Jobs returns the jobs that the node knows.
func (c *Client) Jobs(ctx context.Context) ([]node.JobStatus, error) {
	var answer struct {
		Jobs []node.JobStatus `json:"jobs"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/jobs", nil, &answer)
	return answer.Jobs, err
}

// Cancel ends a job, named by its id, its short id or any other ending of the
// id that only one job has.
func (c *Client) Cancel(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/cancel", nil, nil)
}

// Pause makes the node stop, or take up again, rendering for other nodes.
func (c *Client) Pause(ctx context.Context, paused bool) error {
	return c.call(ctx, http.MethodPost, "/v1/pause", map[string]bool{"paused": paused}, nil)
}

// Roles returns the roles that the node has given to peers; the last is that of
// node.Others.
func (c *Client) Roles(ctx context.Context) ([]node.PeerRole, error) {
	var answer struct {
		Roles []node.PeerRole `json:"roles"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/roles", nil, &answer)
	return answer.Roles, err
}

// SetRole gives a peer a role, named as for node.SetRole.
func (c *Client) SetRole(ctx context.Context, peer string, role node.Role) (set node.PeerRole, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/roles", map[string]any{"peer": peer, "role": role}, &set)
	return set, err
}

// StoreStatus returns what is in the node's store.
func (c *Client) StoreStatus(ctx context.Context) (status node.StorageStatus, err error) {
	err = c.ask(ctx, http.MethodGet, "/v1/store", nil, &status)
	return status, err
}

// VerifyStore has the node read all of its store, and remove what is damaged.
func (c *Client) VerifyStore(ctx context.Context) (done node.StorageVerified, err error) {
	err = c.ask(ctx, http.MethodPost, "/v1/store/verify", struct{}{}, &done)
	return done, err
}

// CollectStore has the node let go what nothing needs.
func (c *Client) CollectStore(ctx context.Context, req node.CollectRequest) (done node.StorageCollected, err error) {
	err = c.ask(ctx, http.MethodPost, "/v1/store/collect", req, &done)
	return done, err
}

// Stop ends the node. It returns when the node has taken the order.
func (c *Client) Stop(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/stop", nil, nil)
}

// Hold keeps a node that was started for clients alive until the result is
// closed or ctx ends.
func (c *Client) Hold(ctx context.Context) (io.Closer, error) {
	resp, err := c.open(ctx, http.MethodGet, "/v1/hold", nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// call makes one request and decodes the answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := patience(ctx)
	defer cancel()
	return c.ask(ctx, method, path, in, out)
}

// patience is how long a node is waited for that has to answer at once.
func patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, callTimeout,
		fmt.Errorf("api: the node did not answer within %v: see node.log in its home, or end it and start it again", callTimeout))
}

// ask is call without a bound on its time.
func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("api: read the answer to %s: %w", path, err)
	}
	return nil
}

// open makes one request and returns its answer, for the caller to close the
// body, or the node's refusal as an *Error.
func (c *Client) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var content io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("api: encode the request to %s: %w", path, err)
		}
		content = bytes.NewReader(data)
	}
	at, err := c.door.find(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+at.host+path, content)
	if err != nil {
		return nil, fmt.Errorf("api: make the request to %s: %w", path, err)
	}
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := at.do(req)
	if err != nil {
		return nil, failure(ctx, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var refusal struct {
		Error string `json:"error"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&refusal) != nil || refusal.Error == "" {
		refusal.Error = "api: the node answered " + resp.Status
	}
	return nil, &Error{Status: resp.StatusCode, Text: refusal.Error}
}

// failure says why a request got no answer at all.
func failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial" && !errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrNoNode, op.Err)
	case errors.As(err, &op) && op.Op != "dial", errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return fmt.Errorf("api: reach the node: %w", err)
}
