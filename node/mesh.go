// SPDX-License-Identifier: MIT

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"meshnode/p2p"
)

// DefaultMesh is the open mesh of nodes that are not told another.
const DefaultMesh = "home"

// meshFile holds the code of the private mesh that a home is in.
const meshFile = "mesh"

// ErrMesh is wrapped when a home is in another mesh than what is asked for.
var ErrMesh = errors.New("node: this home is in another mesh")

// MeshOf returns the mesh of a node with that home: the one whose code is in
// secretFile, or the private one that the home has joined, or else the open one of
// that name; "": DefaultMesh. A name that is not the private mesh's is ErrMesh, so
// that nobody is in the open who does not want to be.
func MeshOf(home, name, secretFile string) (p2p.Mesh, error) {
	path := secretFile
	if path == "" {
		path = filepath.Join(home, meshFile)
	}
	m, err := p2p.ReadMesh(path)
	switch {
	case secretFile == "" && errors.Is(err, fs.ErrNotExist):
		if name == "" {
			name = DefaultMesh
		}
		return p2p.Mesh{Name: name}, p2p.CheckMesh(name)
	case err != nil:
		return p2p.Mesh{}, err
	case name != "" && name != m.Name:
		return p2p.Mesh{}, fmt.Errorf("%w: the private one %q: run \"meshnode mesh leave\" first, or give another --home", ErrMesh, m.Name)
	}
	return m, nil
}

// JoinMesh makes a home one of a private mesh, from the next start of its node
// on. It fails with ErrInUse while the node runs, with ErrMesh if the home is in
// another private mesh, and if it cannot be read which one that is.
func JoinMesh(home string, m p2p.Mesh) error {
	h, err := idleHome(home)
	if err != nil {
		return err
	}
	defer h.Close()
	old, err := p2p.ReadMesh(h.path(meshFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("%w; to forget that mesh, run \"meshnode mesh leave\" first", err)
	case old.Code() != m.Code():
		return fmt.Errorf("%w: %v: run \"meshnode mesh leave\" first, or give another --home", ErrMesh, old)
	}
	return p2p.WriteMesh(h.path(meshFile), m)
}

// LeaveMesh puts a home back into the open; of a home that is there already the
// error is fs.ErrNotExist. It fails with ErrInUse while the node runs.
func LeaveMesh(home string) error {
	h, err := idleHome(home)
	if err != nil {
		return err
	}
	defer h.Close()
	return os.Remove(h.path(meshFile))
}

// idleHome locks a home that no node runs on.
func idleHome(dir string) (*home, error) {
	h, err := lockHome(dir)
	if errors.Is(err, ErrInUse) {
		err = fmt.Errorf("%w: end it first, and start it again then", err)
	}
	return h, err
}
