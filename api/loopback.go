// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// loopback is the door of a home as a TCP port of 127.0.0.1, to which every user and
// every web page of the computer can connect. So a file in the home says which port it
// is, and has what a request must bear, and what the answer to it does. Nobody else may
// be able to read the file: its mode says so where modes count, elsewhere it is the
// access list of the home.
type loopback struct{ home string }

const (
	secretSize   = 32  // bytes of token and proof
	maxTokenFile = 512 // bytes: an address and two secrets in hex
)

func (l loopback) path() string { return filepath.Join(l.home, "api.token") }

func (l loopback) listen() (net.Listener, entry, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, entry{}, fmt.Errorf("api: %w", err)
	}
	address := listener.Addr().String()
	at := entry{network: "tcp4", address: address, host: address, token: newSecret(), proof: newSecret()}
	if err := l.write(at); err != nil {
		return nil, entry{}, fmt.Errorf("api: write where the node listens: %w", errors.Join(err, listener.Close()))
	}
	return tokenListener{listener, l.path()}, at, nil
}

func newSecret() string {
	secret := make([]byte, secretSize)
	rand.Read(secret) // does not fail
	return hex.EncodeToString(secret)
}

// tokenListener removes the file that led to it when it is closed.
type tokenListener struct {
	net.Listener
	file string
}

func (l tokenListener) Close() error { return errors.Join(os.Remove(l.file), l.Listener.Close()) }

// write replaces the file as a whole, with one that has been this user's from the
// beginning.
func (l loopback) write(at entry) error {
	made := l.path() + ".new"
	// One that is there is of a node that was killed while it wrote.
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(made, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, at.address, at.token, at.proof)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(made))
	}
	for range 50 { // Windows replaces no file that is open, as it is while a client reads it
		if err = os.Rename(made, l.path()); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.Join(err, os.Remove(made))
}

// read returns what the file says, which may be of a node that was killed.
func (l loopback) read() (entry, error) {
	f, err := os.Open(l.path())
	if err != nil {
		return entry{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
	if err != nil {
		return entry{}, err
	}
	words := strings.Fields(string(text))
	if len(words) != 3 || len(words[1]) != 2*secretSize || len(words[2]) != 2*secretSize {
		return entry{}, fmt.Errorf("%s is damaged", l.path())
	}
	address, err := netip.ParseAddrPort(words[0])
	if err != nil || address.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return entry{}, fmt.Errorf("%s has no address of this computer", l.path())
	}
	return entry{network: "tcp4", address: words[0], host: words[0], token: words[1], proof: words[2]}, nil
}

// find also makes sure that it is the node that listens there: the port of one that was
// killed may be another program's by now, and a request has the user's environment in it.
func (l loopback) find(ctx context.Context) (entry, error) {
	at, err := l.read()
	if errors.Is(err, fs.ErrPermission) {
		return entry{}, fmt.Errorf("api: read where the node listens: %w", err)
	}
	if err != nil {
		return entry{}, fmt.Errorf("%w: %w", ErrNoNode, err)
	}
	ctx, cancel := patience(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.host+"/", nil)
	if err != nil {
		return entry{}, fmt.Errorf("api: ask who listens: %w", err)
	}
	resp, err := at.do(r)
	if ctx.Err() != nil {
		return entry{}, context.Cause(ctx)
	}
	if err != nil {
		return entry{}, fmt.Errorf("%w: %w", ErrNoNode, err)
	}
	resp.Body.Close()
	if subtle.ConstantTimeCompare([]byte(resp.Header.Get(proofHeader)), []byte(at.proof)) != 1 {
		return entry{}, fmt.Errorf("%w: another program listens at %s", ErrNoNode, at.address)
	}
	return at, nil
}
