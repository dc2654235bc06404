// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// door is how programs of one user, and nobody else's, reach the node of a home. There
// are two: a [socket] where the system is a Unix, [loopback] elsewhere.
type door interface {
	// listen opens the door. The home's lock is held, so what is there already is of a
	// node that was killed. Closing the listener leaves nothing in the home.
	listen() (net.Listener, entry, error)

	// find returns where the node listens. Where that can be told to be no node, the
	// error wraps [ErrNoNode].
	find(ctx context.Context) (entry, error)
}

// entry is where a node listens, and how both sides show that they belong to its home.
type entry struct {
	network, address string // as for net.Dial
	host             string // the one Host header that is served
	token            string // what requests bear; "": nothing, as only the user can connect
	proof            string // what answers to them bear; "": nothing
}

// proofHeader is the header of answers that has the proof.
const proofHeader = "Meshnode-Proof"

// Open opens the door of a home, which nobody else may have open, for a handler that
// answers as a node does. It returns what to serve there: the handler for those requests
// that are let in.
func Open(home string, h http.Handler) (net.Listener, http.Handler, error) {
	return open(doorOf(home), h)
}

func open(d door, h http.Handler) (net.Listener, http.Handler, error) {
	listener, at, err := d.listen()
	if err != nil {
		return nil, nil, err
	}
	return listener, guard(at, h), nil
}

// guard admits only what is meant for this door: a web page that a browser was tricked
// into sending here has another Host, no token, or no JSON.
func guard(at entry, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody { // it is not waited for longer, also where nothing reads it
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTime))
		}
		if r.Host != at.host {
			fail(w, http.StatusForbidden, fmt.Errorf("host %q is not %q", r.Host, at.host))
			return
		}
		if at.token != "" {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+at.token)) != 1 {
				w.Header().Set("WWW-Authenticate", "Bearer")
				fail(w, http.StatusUnauthorized, errors.New("no token, or not that of this node"))
				return
			}
			w.Header().Set(proofHeader, at.proof)
			if r.URL.Path == "/" { // nothing else is wanted
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		if r.Method != http.MethodGet && r.Header.Get("Content-Type") != "application/json" {
			fail(w, http.StatusUnsupportedMediaType, errors.New("only application/json"))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// do makes a request there, on a connection of its own: a command makes few, and a kept
// one would count as a client.
func (at entry) do(r *http.Request) (*http.Response, error) {
	r.Host = at.host
	if at.token != "" {
		r.Header.Set("Authorization", "Bearer "+at.token)
	}
	return (&http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, at.network, at.address)
		},
		DisableCompression: true, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader,
	}).RoundTrip(r)
}
