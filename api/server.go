// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"meshnode/node"
)

// Limits of the local door.
const (
	maxBody     = 4 << 20          // bytes of a request; an environment can be large
	maxHeader   = 64 << 10         // bytes of what comes before it
	readTime    = 10 * time.Second // for a request's header and body
	firstClient = 30 * time.Second // how long a node for clients waits for its first
	lastClient  = 2 * time.Second  // and, after the last has left, for another
)

// Serve runs a node and its local API until ctx ends, a client asks it to stop,
// or, with ForClients, its last client has left.
func Serve(ctx context.Context, cfg node.Config) error { return serve(ctx, cfg, doorOf(cfg.Home)) }

func serve(ctx context.Context, cfg node.Config, d door) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer n.Close()
	s := &server{node: n, stop: stop, change: make(chan struct{}, 1)}
	listener, handler, err := open(d, s.handler())
	if err != nil {
		return err
	}
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	h := &http.Server{
		Handler: handler, ReadHeaderTimeout: readTime, IdleTimeout: readTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return requests },
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(listener) }()
	if cfg.ForClients {
		go s.followClients(ctx)
	}
	if cfg.OnReady != nil {
		cfg.OnReady(n.Status())
	}
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	// Clients whose jobs stop here are still to be told, so their requests end last.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	n.Leave(grace)
	endRequests()
	if h.Shutdown(grace) != nil {
		h.Close()
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

type server struct {
	node   *node.Node
	stop   context.CancelFunc
	change chan struct{} // clients have come or left
	mu     sync.Mutex
	held   int // clients now; guarded by mu
}

// routes are all that the door serves. Nothing that is reached by GET changes anything.
func (s *server) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /v1/publish":          s.stream(s.node.Publish),
		"POST /v1/explain":          s.stream(s.node.Explain),
		"POST /v1/verify":           s.verify,
		"GET /v1/hold":              s.hold,
		"GET /v1/status":            s.status,
		"GET /v1/peers":             s.peers,
		"GET /v1/jobs":              s.jobs,
		"POST /v1/jobs/{id}/cancel": s.cancel,
		"GET /v1/jobs/{id}/watch":   s.watch,
		"POST /v1/jobs/{id}/finish": s.finish,
		"GET /v1/jobs/{id}/bundle":  s.bundle,
		"POST /v1/jobs/{id}/follow": s.follow,
		"POST /v1/pause":            s.pause,
		"GET /v1/roles":             s.roles,
		"POST /v1/roles":            s.setRole,
		"GET /v1/store":             s.storeStatus,
		"POST /v1/store/verify":     s.verifyStore,
		"POST /v1/store/collect":    s.collectStore,
		"POST /v1/stop":             s.end,
	}
}

// handler serves the routes.
func (s *server) handler() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, do := range s.routes() {
		mux.HandleFunc(pattern, do)
	}
	return mux
}

func (s *server) status(w http.ResponseWriter, _ *http.Request) {
	status := s.node.Status()
	s.mu.Lock()
	status.Clients = s.held
	s.mu.Unlock()
	reply(w, http.StatusOK, status)
}

func (s *server) peers(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"peers": s.node.Peers()})
}

func (s *server) jobs(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"jobs": s.node.Jobs()})
}

func (s *server) cancel(w http.ResponseWriter, r *http.Request) {
	if err := s.node.Cancel(r.PathValue("id")); err != nil {
		fail(w, http.StatusNotFound, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// pause stops rendering for others, or takes it up again.
func (s *server) pause(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Paused *bool `json:"paused"`
	}
	if !read(w, r, &body) {
		return
	}
	if body.Paused == nil {
		fail(w, http.StatusBadRequest, errors.New(`"paused" is missing`))
		return
	}
	if err := s.node.Pause(*body.Paused); err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) roles(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"roles": s.node.Roles()})
}

// end stops the node.
func (s *server) end(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNoContent)
	s.stop()
}

// setRole says what a peer may do from now on.
func (s *server) setRole(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Peer string    `json:"peer"`
		Role node.Role `json:"role"`
	}
	if !read(w, r, &body) {
		return
	}
	role, err := s.node.SetRole(body.Peer, body.Role)
	switch {
	case errors.Is(err, node.ErrPeer):
		fail(w, http.StatusNotFound, err)
	case err != nil:
		fail(w, http.StatusInternalServerError, err)
	default:
		reply(w, http.StatusOK, role)
	}
}

// stream answers with the events of what do does with a request; the client's
// leaving ends that, unless it is detached.
func (s *server) stream(do func(context.Context, node.PublishRequest, func(node.Event))) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req node.PublishRequest
		if !read(w, r, &req) {
			return
		}
		if !filepath.IsAbs(req.Dir) {
			fail(w, http.StatusBadRequest, fmt.Errorf("dir %q is not absolute", req.Dir))
			return
		}
		if r.Context().Err() != nil {
			fail(w, http.StatusServiceUnavailable, errors.New("the node is stopping"))
			return
		}
		defer s.client()()
		do(r.Context(), req, events(w))
	}
}

// verify answers with the events of a film's verification.
func (s *server) verify(w http.ResponseWriter, r *http.Request) {
	var req node.VerifyRequest
	if !read(w, r, &req) {
		return
	}
	if !filepath.IsAbs(req.Film) || req.Scene != nil && !filepath.IsAbs(req.Scene.Dir) {
		fail(w, http.StatusBadRequest, errors.New("the film and the folder of the scene must be absolute paths"))
		return
	}
	defer s.client()()
	s.node.Verify(r.Context(), req, events(w))
}

// events returns what sends events to the client, one JSON object a line.
func events(w http.ResponseWriter) func(node.Event) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	return func(e node.Event) {
		if enc.Encode(e) == nil { // else the client has left, and its context says so
			out.Flush()
		}
	}
}

// watch streams the events of a job that others have published, or this client
// before.
func (s *server) watch(w http.ResponseWriter, r *http.Request) {
	defer s.client()()
	if err := s.node.Watch(r.Context(), r.PathValue("id"), events(w)); err != nil {
		fail(w, http.StatusNotFound, err)
	}
}

// finish streams the events of a film of another node's job, which is made here.
func (s *server) finish(w http.ResponseWriter, r *http.Request) {
	var req node.FinishRequest
	if !read(w, r, &req) {
		return
	}
	if !filepath.IsAbs(req.Dir) || req.File != "" && !filepath.IsAbs(req.File) {
		fail(w, http.StatusBadRequest, fmt.Errorf("dir %q or file %q is not absolute", req.Dir, req.File))
		return
	}
	defer s.client()()
	req.Job = r.PathValue("id")
	if err := s.node.Finish(r.Context(), req, events(w)); err != nil {
		fail(w, http.StatusNotFound, err)
	}
}

// bundle sends what the node knows of a job. It is broken off, so that the client can
// tell, when not all of it was to be had.
func (s *server) bundle(w http.ResponseWriter, r *http.Request) {
	if err := s.node.Known(r.PathValue("id")); err != nil {
		fail(w, http.StatusNotFound, err)
		return
	}
	defer s.client()()
	w.Header().Set("Content-Type", "application/gzip")
	if s.node.Bundle(r.Context(), r.PathValue("id"), r.URL.Query().Get("assets") != "", w) != nil {
		panic(http.ErrAbortHandler)
	}
}

// follow streams the film of a job while it is rendered. It is broken off, so
// that the client can tell, when there will be no whole film.
func (s *server) follow(w http.ResponseWriter, r *http.Request) {
	var req node.FollowRequest
	if !read(w, r, &req) {
		return
	}
	viewing, err := s.node.Follow(r.PathValue("id"), req)
	if err != nil {
		fail(w, http.StatusNotFound, err)
		return
	}
	defer viewing.End()
	defer s.client()()
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": viewing.Name + ".mp4"}))
	w.WriteHeader(http.StatusOK)
	flush := func() { http.NewResponseController(w).Flush() }
	flush()
	if viewing.Write(r.Context(), w, flush) != nil {
		panic(http.ErrAbortHandler)
	}
}

// hold keeps a node for clients alive.
func (s *server) hold(w http.ResponseWriter, r *http.Request) {
	defer s.client()()
	w.WriteHeader(http.StatusOK)
	http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// client counts a client until the returned function is called.
func (s *server) client() (leave func()) {
	count := func(d int) {
		s.mu.Lock()
		s.held += d
		s.mu.Unlock()
		select {
		case s.change <- struct{}{}:
		default: // a change is waiting to be seen already
		}
	}
	count(1)
	return func() { count(-1) }
}

// followClients stops the node when nobody needs it any more, and no job is under
// way that goes on without a client.
func (s *server) followClients(ctx context.Context) {
	wait := time.NewTimer(firstClient)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.change:
			wait.Reset(lastClient)
		case <-wait.C:
			s.mu.Lock()
			held := s.held
			s.mu.Unlock()
			if held == 0 && !s.node.Busy() {
				s.stop()
				return
			}
			wait.Reset(lastClient)
		}
	}
}

// read decodes a request, which guard has given readTime to come as a whole.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("there is more than one value")
		}
	}
	if err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("request not understood: %w", err))
		return false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // what follows waits for the client's leaving
	return true
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, code int, err error) {
	reply(w, code, map[string]string{"error": err.Error()})
}
