// SPDX-License-Identifier: MIT

package p2p

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"

	"meshnode/job"
)

// Timers of a host. docs/network.md lists them.
const (
	dialTimeout  = 10 * time.Second
	keepAlive    = 5 * time.Second // between probes of a silent connection; it is given up 10 s after one
	maxDials     = 32              // at a time: addresses of machines that are off take their time
	saveInterval = 5 * time.Second
)

// Config says what a [Host] is.
type Config struct {
	// Mesh is the name of the mesh, see CheckMesh. Nodes of other meshes are
	// neither found nor talked to.
	Mesh string
	// Secret makes the mesh private: who does not have it cannot connect.
	Secret Secret
	// Dir holds the identity key and the known peers. It exists, and has no
	// other user: a process that owns it. Empty: a new identity, nothing saved.
	Dir string
	// Port to listen on with all interfaces, 0 for the last one, or any.
	Port int
	// Listen replaces all interfaces: addresses such as /ip4/127.0.0.1/tcp/0.
	Listen []string
	// Peers are full addresses to dial, and to dial again, as by Connect.
	Peers []string
	// Quiet turns mDNS off: other nodes are known from Peers, from earlier
	// runs, and from the peers they lead to.
	Quiet bool
	// NoExchange keeps a node from asking its peers for others, for tests of a
	// mesh that is not a full one.
	NoExchange bool

	settle time.Duration // of tests; 0: settleTime
}

// Host is the [Network] over libp2p: TCP, TLS 1.3, yamux.
type Host struct {
	*identity
	config Config
	id     peer.ID
	libp2p host.Host
	gossip *gossip
	gate   *gate

	advertProtocol, requestProtocol, peersProtocol protocol.ID

	conducts *conducts
	events   *eventQueue
	requests *requests
	session  [sessionSize]byte // of this run, see advert.go

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup // the host's goroutines
	wake chan struct{}  // of keep; capacity 1

	// mu is held while the gossip's lock and those of libp2p are taken, never
	// the other way round.
	mu        sync.Mutex
	started   bool
	closed    bool
	book      *book
	port      int // last listened on with all interfaces
	members   map[peer.ID]*member
	advert    []byte
	advertSeq uint64 // rises with each Advertise
	answer    func(ctx context.Context, from job.PeerID, data []byte) ([]byte, error)
	answering map[peer.ID]int // requests of a peer that are being answered
}

var _ Network = (*Host)(nil)

// New builds a host that neither listens nor looks for anybody, so that its
// owner can register what must be there before the first connection: Listen,
// Answer, Advertise, and other protocols on [Host.LibP2P]. Start comes next;
// Close is due in any case.
func New(config Config) (*Host, error) {
	mesh := Mesh{config.Mesh, config.Secret}
	if err := mesh.check(); err != nil {
		return nil, err
	}
	quietLibraries()
	key, err := randomKey()
	if config.Dir != "" {
		key, err = loadKey(config.Dir)
	}
	if err != nil {
		return nil, err
	}
	identity, err := newIdentity(key)
	if err != nil {
		return nil, err
	}
	id, _, err := parsePeerID(identity.self)
	if err != nil {
		return nil, err
	}
	h := &Host{
		identity: identity, config: config, id: id,
		gate: newGate(), conducts: newConducts(), events: newEventQueue(),
		book:            newBook(id, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))),
		members:         make(map[peer.ID]*member),
		answering:       make(map[peer.ID]int),
		requests:        newRequests(),
		session:         newSession(),
		wake:            make(chan struct{}, 1),
		advertProtocol:  protocol.ID("/meshnode/1/" + config.Mesh + "/advert"),
		requestProtocol: protocol.ID("/meshnode/1/" + config.Mesh + "/request"),
		peersProtocol:   protocol.ID("/meshnode/1/" + config.Mesh + "/peers"),
	}
	if config.Dir != "" {
		h.port = h.book.load(config.Dir, serviceName(mesh), time.Now())
	}
	if config.Port != 0 {
		h.port = config.Port
	}
	for _, addr := range config.Peers {
		if _, err := h.pinLocked(addr); err != nil {
			return nil, err
		}
	}
	resources, err := newResourceManager()
	if err != nil {
		return nil, err
	}
	muxer := *yamux.DefaultTransport
	muxer.KeepAliveInterval = keepAlive
	var door pnet.PSK
	if mesh.Private() {
		door = mesh.derive("connect")
	}
	h.libp2p, err = libp2p.New(
		libp2p.Identity(key),
		libp2p.PrivateNetwork(door), // none: open
		libp2p.NoListenAddrs,        // Start listens
		// Without reuse of the port: two nodes that dial each other at the same
		// instant would otherwise open one connection with two clients.
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Security(tls.ID, tls.New),
		libp2p.Muxer(yamux.ID, &muxer),
		libp2p.ResourceManager(resources),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.ConnectionGater(h.gate),
		libp2p.SwarmOpts(swarm.WithDialRanker(rankDials)),
		libp2p.WithDialTimeout(dialTimeout),
		libp2p.AddrsFactory(func(own []ma.Multiaddr) []ma.Multiaddr { return withoutLoopback(dialable(own)) }),
		libp2p.UserAgent("meshnode"),
		libp2p.DisableRelay(),
		libp2p.ForceReachabilityPrivate(), // no dialing of others to learn whether this node is reachable
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.Ping(false),
		libp2p.DisableMetrics(),
	)
	if err != nil {
		resources.Close()
		return nil, fmt.Errorf("p2p: build the host: %w", err)
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	gossipProtocol := protocol.ID("/meshnode/1/" + config.Mesh + "/gossip")
	topicName := func(t Topic) string { return "/meshnode/1/" + config.Mesh + "/" + string(t) }
	h.gossip, err = newGossip(h.ctx, h.libp2p, gossipProtocol, topicName, h.conducts, &h.gate.admit,
		cmp.Or(config.settle, settleTime), h.nudge)
	if err != nil {
		h.stop()
		h.libp2p.Close()
		return nil, err
	}
	h.libp2p.SetStreamHandler(h.advertProtocol, h.receiveAdvert)
	h.libp2p.SetStreamHandler(h.requestProtocol, h.receiveRequest)
	h.libp2p.SetStreamHandler(h.peersProtocol, h.tellPeers)
	h.libp2p.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { h.meet(c.RemotePeer()) },
		DisconnectedF: func(_ network.Network, c network.Conn) { h.nudge(c.RemotePeer()) },
	})
	h.wg.Go(func() { h.events.pump(h.ctx.Done()) })
	return h, nil
}

// Start listens, dials the peers that are known, and looks for others. It
// fails when it cannot listen.
func (h *Host) Start() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if h.started {
		return errors.New("p2p: start: already started")
	}
	if err := h.listenLocked(); err != nil {
		return err
	}
	h.started = true
	h.wg.Go(h.keep)
	if !h.config.NoExchange {
		h.wg.Go(h.explore)
	}
	d := &discovery{
		service: h.service(), self: h.id, quiet: h.config.Quiet,
		addrs: h.dialAddrs, found: h.found, alone: h.alone, changed: h.hurry,
	}
	h.wg.Go(func() { d.run(h.ctx) })
	return nil
}

func (h *Host) service() string { return serviceName(Mesh{h.config.Mesh, h.config.Secret}) }

// listenLocked takes the wanted port for both families, or else any.
func (h *Host) listenLocked() error {
	if len(h.config.Listen) > 0 {
		for _, s := range h.config.Listen {
			a, err := ma.NewMultiaddr(s)
			if err != nil {
				return fmt.Errorf("p2p: listen on %q: %w", s, err)
			}
			if err := h.libp2p.Network().Listen(a); err != nil {
				return fmt.Errorf("p2p: listen on %s: %w", s, err)
			}
		}
		return nil
	}
	port, err := h.listenAll(h.port)
	if err != nil && h.config.Port == 0 && h.port != 0 {
		port, err = h.listenAll(0) // another program has the last port now
	}
	if err != nil {
		return err
	}
	if port != h.port {
		h.port, h.book.dirty = port, true
	}
	return nil
}

// listenAll listens on all interfaces, with IPv6 where there is any.
func (h *Host) listenAll(port int) (int, error) {
	swarm := h.libp2p.Network()
	err := swarm.Listen(tcpAddr(anyIPv4, port))
	if err != nil { // the port is taken, or there is no IPv4
		if swarm.Listen(tcpAddr(anyIPv6, port)) != nil {
			return 0, fmt.Errorf("p2p: listen on port %d: choose another, or 0: %w", port, err)
		}
		return portOf(swarm.ListenAddresses()), nil
	}
	port = portOf(swarm.ListenAddresses())
	if swarm.Listen(tcpAddr(anyIPv6, port)) != nil {
		_ = swarm.Listen(tcpAddr(anyIPv6, 0)) // the port is taken, or there is no IPv6
	}
	return port, nil
}

func portOf(addrs []ma.Multiaddr) int {
	for _, a := range addrs {
		if _, port := ipPort(a); port != 0 {
			return port
		}
	}
	return 0
}

// Close leaves the mesh and ends every goroutine of the host. Do not call it
// from a listener.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	for _, m := range h.members {
		if m.joined {
			h.book.saw(m.id, time.Now())
		}
	}
	h.mu.Unlock()
	h.stop()
	err := h.libp2p.Close()
	h.gossip.close()
	h.wg.Wait()
	return errors.Join(err, h.saveBook())
}

// LibP2P is the host beneath, for other protocols. It belongs to this Host.
func (h *Host) LibP2P() host.Host { return h.libp2p }

// Publish gossips data to the mesh.
func (h *Host) Publish(ctx context.Context, topic Topic, data []byte) error {
	if len(data) > job.MaxMessage {
		return fmt.Errorf("%w: message of %d bytes, at most %d allowed", ErrTooLarge, len(data), job.MaxMessage)
	}
	if h.ctx.Err() != nil {
		return ErrClosed
	}
	return h.gossip.publish(ctx, topic, slices.Clone(data))
}

// Listen sets what hears a topic; each topic has one listener.
func (h *Host) Listen(topic Topic, handle func(from job.PeerID, data []byte) Verdict) error {
	if h.ctx.Err() != nil {
		return ErrClosed
	}
	return h.gossip.listen(topic, handle)
}

// Events returns joins, adverts and departures.
func (h *Host) Events() <-chan Event { return h.events.out }

// Addrs returns the full addresses at which this node can be dialed, none
// before Start.
func (h *Host) Addrs() []string {
	return fullAddrs(h.id, h.dialAddrs())
}

func (h *Host) dialAddrs() []ma.Multiaddr {
	return expand(h.libp2p.Network().ListenAddresses(), netInterfaces())
}

func fullAddrs(id peer.ID, addrs []ma.Multiaddr) []string {
	full := make([]string, 0, len(addrs))
	for _, a := range addrs {
		full = append(full, a.String()+"/p2p/"+id.String())
	}
	return full
}

// Connect dials a peer by its full address and returns when it has joined, or
// with an error that wraps ErrUnreachable or [ErrMesh]. In any case it is
// remembered, and dialed again whenever it is not there.
func (h *Host) Connect(ctx context.Context, addr string) error {
	id, err := h.pin(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	if err := h.dial(ctx, id); err != nil {
		return err
	}
	return h.waitJoined(ctx, id)
}

// pin notes an address that the user gave, and what it was refused for.
func (h *Host) pin(addr string) (peer.ID, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return "", ErrClosed
	}
	id, err := h.pinLocked(addr)
	if err == nil {
		h.gate.pardon(id)
	}
	return id, err
}

func (h *Host) pinLocked(addr string) (peer.ID, error) {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil || len(info.Addrs) != 1 {
		return "", fmt.Errorf("p2p: %q is not the address of a node: give /ip4/…/tcp/…/p2p/…", addr)
	}
	if _, err := ed25519Key(info.ID); err != nil {
		return "", fmt.Errorf("%w: %s: %v", ErrPeerID, info.ID, err)
	}
	return info.ID, h.book.pin(info.ID, info.Addrs[0], time.Now())
}
