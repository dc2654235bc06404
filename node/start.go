// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"

	"github.com/pbnjay/memory"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/p2p"
	"meshnode/renderer/manim"
)

// Config says how a node runs.
type Config struct {
	Home       string   // folder of the node; made if need be
	Mesh       p2p.Mesh // see MeshOf
	SecretFile string   // absolute: where the code of Mesh is, if not in the home; "": there, or nowhere
	Name       string   // of this node, for people; "": the host's name
	Version    string   // of this program
	Peers      []string // full addresses to dial, beside those found
	NoMDNS     bool     // find no peers, and do not be found
	Slots      int      // cells rendered at a time; < 0: by cores and memory
	Python     string   // interpreter with Manim, to have before those of the home; "": none
	Listen     []string // addresses to listen on; none: all interfaces
	ForClients bool     // end when the last client of the API has left
	Log        *slog.Logger
	OnReady    func(Status) // called once, when the API answers
}

// Start puts a node together on its home and joins the mesh. The caller must
// Close it.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	h, err := openHome(cfg.Home)
	if err != nil {
		return nil, err
	}
	n, err := start(ctx, cfg, h)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return n, nil
}

func start(ctx context.Context, cfg Config, h *home) (*Node, error) {
	records, err := h.openRecords(cfg.Mesh, cfg.Log)
	if err != nil {
		return nil, err
	}
	host, err := p2p.New(p2p.Config{Mesh: cfg.Mesh.Name, Secret: cfg.Mesh.Secret, Dir: h.dir, Listen: cfg.Listen, Peers: cfg.Peers, Quiet: cfg.NoMDNS})
	if err != nil {
		return nil, errors.Join(err, records.Close())
	}
	// Before discovery: bitswap never asks a peer that was connected earlier.
	store, err := blockstore.NewDisk(h.of(cfg.Mesh, "blocks"), blockstore.NewBitswap(host.LibP2P(), cfg.Mesh.Name, nil))
	if err != nil {
		return nil, errors.Join(err, host.Close(), records.Close())
	}
	if cfg.Name == "" {
		if cfg.Name, err = os.Hostname(); err != nil {
			cfg.Name = host.Self().Short()
		}
	}
	slots := uint32(max(0, cfg.Slots))
	if cfg.Slots < 0 {
		slots = slotsByMachine()
	}
	diary, err := h.openJournal(host.Self(), cfg.Version)
	if err != nil {
		return nil, errors.Join(err, host.Close(), store.Close(), records.Close())
	}
	n, err := New(Parts{
		Network: host, Store: store, Mesh: cfg.Mesh, Records: records, Journal: diary, Free: func() (uint64, bool) { return freeDisk(h.dir) }, OwnFirst: cfg.ForClients, Log: cfg.Log,
		Renderer: manim.New(manim.Config{Home: h.dir, Secret: cfg.SecretFile, Scratch: h.path("scratch"), Python: cfg.Python, Slots: int(slots), KeepWarm: !cfg.ForClients, Log: cfg.Log}),
		Advert: job.Advert{
			Name: cfg.Name, Version: cfg.Version, OS: runtime.GOOS + "/" + runtime.GOARCH,
			Cores: uint32(runtime.NumCPU()), Memory: memory.TotalMemory(), Slots: slots, Sandbox: "none",
		},
	})
	if err != nil {
		return nil, err
	}
	n.home = h
	if err := host.Start(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}
