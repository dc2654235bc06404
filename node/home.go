// SPDX-License-Identifier: MIT

package node

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"meshnode/p2p"
)

// home is the folder of a node: one process owns it.
//
//	key            identity, 0600
//	mesh           code of the private mesh that it is in, 0600
//	peers.json     addresses last seen
//	blocks/        the store
//	state.db       durable state of jobs
//	journal        what the scheduler was told, for Bundle; journal.before: in the run before
//	environments/  installed renderers
//	scratch/       engines' files; emptied at start
//	meshes/        state.db and blocks/ of each private mesh: see of
//	api.sock       the local API; on Windows api.token says where that is
//	lock           held while a node runs; contains its process id
type home struct {
	dir  string
	lock *os.File
}

// ErrInUse is wrapped when another process owns the home.
var ErrInUse = errors.New("node: a node is running on this home already")

// openHome makes the folder of a node that starts, if need be, and locks it.
func openHome(dir string) (*home, error) {
	h, err := lockHome(dir)
	if errors.Is(err, ErrInUse) {
		return nil, fmt.Errorf("%w: use it, or give another --home", err)
	}
	if err != nil {
		return nil, err
	}
	err = os.RemoveAll(h.path("scratch")) // of a node that was killed
	if err == nil {
		err = os.Mkdir(h.path("scratch"), 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("node: home: %w", errors.Join(err, h.Close()))
	}
	return h, nil
}

// lockHome makes a folder if need be, and keeps nodes away from it.
func lockHome(dir string) (*home, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("node: home: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("node: home: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("node: home: %w", err)
	}
	if err := lockFile(lock); errors.Is(err, ErrInUse) {
		owner := make([]byte, 32)
		n, _ := lock.Read(owner)
		lock.Close()
		return nil, fmt.Errorf("%w (process %s)", err, strings.TrimSpace(string(owner[:n])))
	} else if err != nil { // not every network file system has locks
		lock.Close()
		return nil, fmt.Errorf("node: home: lock %s: %w: give a --home on a local disk", lock.Name(), err)
	}
	h := &home{dir, lock}
	err = lock.Truncate(0)
	if err == nil {
		_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, fmt.Errorf("node: home: %w", errors.Join(err, h.Close()))
	}
	return h, nil
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// of returns the path of what belongs to a mesh. What a private one has is kept apart,
// so that nobody is offered its jobs, or given its blocks, once the home is in another.
func (h *home) of(mesh p2p.Mesh, name string) string {
	if !mesh.Private() {
		return h.path(name)
	}
	return filepath.Join(h.dir, "meshes", mesh.Name+"-"+mesh.Mark(), name)
}

// openRecords opens the records of a node in a mesh. The caller closes them, before
// the home.
func (h *home) openRecords(mesh p2p.Mesh, log *slog.Logger) (Records, error) {
	common, err := openDatabase(h.path("state.db"), log)
	if err != nil {
		return nil, err
	}
	if !mesh.Private() {
		return common, nil
	}
	path := h.of(mesh, "state.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("node: home: %w", errors.Join(err, common.Close()))
	}
	apart, err := openDatabase(path, log)
	if err != nil {
		return nil, errors.Join(err, common.Close())
	}
	return &privateRecords{common: common, apart: apart}, nil
}

// Close gives up the lock.
func (h *home) Close() error { return h.lock.Close() }
