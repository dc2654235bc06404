// SPDX-License-Identifier: MIT

package p2p

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"meshnode/job"
)

// ErrPeerID is wrapped when text is not the name of a node: the base58 form of
// an Ed25519 libp2p peer id.
var ErrPeerID = errors.New("p2p: not the peer id of a node")

// ErrSignature is wrapped by Verify when the signature does not hold.
var ErrSignature = errors.New("p2p: signature does not hold")

const (
	keyFile     = "key"
	maxKeyFile  = 4 << 10 // bytes; an Ed25519 key file has 68
	maxKeyCache = 1024    // public keys kept by a verifier
)

// identity is a node's key, and the verifier of everybody's signatures.
type identity struct {
	key  crypto.PrivKey
	self job.PeerID

	mu   sync.Mutex
	keys map[job.PeerID]crypto.PubKey // at most maxKeyCache
}

func newIdentity(key crypto.PrivKey) (*identity, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("p2p: peer id: %w", err)
	}
	return &identity{key: key, self: job.PeerID(id.String()), keys: make(map[job.PeerID]crypto.PubKey)}, nil
}

// Self returns the name of this node.
func (i *identity) Self() job.PeerID { return i.self }

// Sign signs with the node's key.
func (i *identity) Sign(data []byte) ([]byte, error) {
	sig, err := i.key.Sign(data)
	if err != nil {
		return nil, fmt.Errorf("p2p: sign: %w", err)
	}
	return sig, nil
}

// Verify checks a signature with the key that the name contains. It returns an
// error that wraps [ErrPeerID] or [ErrSignature].
func (i *identity) Verify(by job.PeerID, data, signature []byte) error {
	key, err := i.publicKey(by)
	if err != nil {
		return err
	}
	ok, err := key.Verify(data, signature)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrSignature, err)
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

func (i *identity) publicKey(of job.PeerID) (crypto.PubKey, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if key, ok := i.keys[of]; ok {
		return key, nil
	}
	_, key, err := parsePeerID(of)
	if err != nil {
		return nil, err
	}
	if len(i.keys) >= maxKeyCache {
		clear(i.keys) // a mesh is far smaller: only strangers fill this
	}
	i.keys[of] = key
	return key, nil
}

// CheckPeerID returns an error that wraps [ErrPeerID] unless p names a node.
func CheckPeerID(p job.PeerID) error {
	_, _, err := parsePeerID(p)
	return err
}

// parsePeerID accepts one spelling of one kind of id, so that a node has one name.
func parsePeerID(p job.PeerID) (peer.ID, crypto.PubKey, error) {
	if len(p) > 64 { // an Ed25519 id has 52 characters
		return "", nil, fmt.Errorf("%w: %d characters", ErrPeerID, len(p))
	}
	id, err := peer.Decode(string(p))
	if err != nil {
		return "", nil, fmt.Errorf("%w: %q: %v", ErrPeerID, p, err)
	}
	key, err := ed25519Key(id)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %q: %v", ErrPeerID, p, err)
	}
	if id.String() != string(p) {
		return "", nil, fmt.Errorf("%w: %q: write it as %s", ErrPeerID, p, id)
	}
	return id, key, nil
}

// ed25519Key returns the key inside an id; other kinds of keys are refused.
func ed25519Key(id peer.ID) (crypto.PubKey, error) {
	key, err := id.ExtractPublicKey()
	if err != nil {
		return nil, err
	}
	if key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("key of type %s", key.Type())
	}
	return key, nil
}

func nameOf(id peer.ID) job.PeerID { return job.PeerID(id.String()) }

// loadKey returns the key in dir, and makes one if there is none. A key that
// others can read, or that belongs to another user, is refused.
func loadKey(dir string) (crypto.PrivKey, error) {
	path := filepath.Join(dir, keyFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("p2p: identity key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("p2p: identity key: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, fmt.Errorf("p2p: identity key %s is not a key file: move it away, and a new one is made", path)
	}
	if err := checkOwner("identity key", path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("p2p: identity key: %w", err)
	}
	key, err := crypto.UnmarshalPrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("p2p: identity key %s is damaged: move it away, and a new one is made: %w", path, err)
	}
	if key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("p2p: identity key %s is not an Ed25519 key: move it away, and a new one is made", path)
	}
	return key, nil
}

func createKey(path string) (crypto.PrivKey, error) {
	key, err := randomKey()
	if err != nil {
		return nil, err
	}
	data, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("p2p: identity key: %w", err)
	}
	if err := writeFile(path, data); err != nil {
		return nil, fmt.Errorf("p2p: write the identity key: %w", err)
	}
	return key, nil
}

func randomKey() (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("p2p: make an identity key: %w", err)
	}
	return key, nil
}
