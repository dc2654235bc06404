// SPDX-License-Identifier: MIT

package api

import (
	"net/http"

	"meshnode/node"
)

// storeStatus says what is in the store.
func (s *server) storeStatus(w http.ResponseWriter, r *http.Request) {
	status, err := s.node.Storage().StoreStatus(r.Context())
	answer(w, status, err)
}

// verifyStore reads all of the store, as long as the client waits for it.
func (s *server) verifyStore(w http.ResponseWriter, r *http.Request) {
	if !read(w, r, new(struct{})) {
		return
	}
	defer s.client()()
	done, err := s.node.Storage().VerifyStore(r.Context())
	answer(w, done, err)
}

// collectStore lets go what nothing needs.
func (s *server) collectStore(w http.ResponseWriter, r *http.Request) {
	var req node.CollectRequest
	if !read(w, r, &req) {
		return
	}
	defer s.client()()
	done, err := s.node.Storage().CollectStore(r.Context(), req)
	answer(w, done, err)
}

// answer replies with a value, or with why there is none.
func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, http.StatusOK, v)
}
