// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/node"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "run a node until Ctrl-C",
		Description: "The node finds the other nodes of its mesh in the local network and renders for\n" +
			"them. Nothing else is needed on any of the computers.\n\n" +
			"  meshnode run\n" +
			"  meshnode run --mesh studio --slots 2\n" +
			"  meshnode run --no-mdns --peer /ip4/192.168.1.5/tcp/4001/p2p/12D3KooW…",
		Flags: []cli.Flag{
			homeFlag(),
			&cli.StringFlag{Name: "mesh", Usage: "`name` of the mesh", DefaultText: "the private one of meshnode mesh, else " + node.DefaultMesh},
			secretFileFlag(),
			&cli.StringFlag{Name: "name", Usage: "`name` of this node", DefaultText: "the computer's name"},
			&cli.StringSliceFlag{Name: "peer", Usage: "`address` of a peer to dial, /ip4/…/tcp/…/p2p/…; repeatable"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "no-mdns", Usage: "do not look for peers in the local network"},
			&cli.StringSliceFlag{Name: "listen", Usage: "`address` to listen on, /ip4/…/tcp/…; repeatable", DefaultText: "all"},
			&cli.StringFlag{Name: "slots", Usage: "cells rendered at a time, a `number`; 0: none", DefaultText: "by cores and free memory"},
			pythonFlag(),
			&cli.BoolFlag{DisableDefaultText: true, Name: "for-clients", Usage: "end when the last client has left", Hidden: true},
			&cli.BoolFlag{DisableDefaultText: true, Name: "verbose", Aliases: []string{"v"}, Usage: "log everything"},
		},
		Action: func(c *cli.Context) error {
			cfg, err := nodeConfig(c)
			if err != nil {
				return err
			}
			defer context.AfterFunc(c.Context, func() {
				fmt.Fprintln(c.App.ErrWriter, "meshnode: the node ends; the same once more ends it at once")
			})()
			err = api.Serve(c.Context, cfg)
			if c.Context.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(c.Context))) {
				return nil // the end that was asked for
			}
			return err
		},
	}
}

// nodeConfig checks the options of run.
func nodeConfig(c *cli.Context) (cfg node.Config, err error) {
	if err := noArguments(c); err != nil {
		return cfg, err
	}
	home, err := homeFolder(c.String("home"))
	if err != nil {
		return cfg, err
	}
	for name, check := range map[string]func(string) error{"slots": checkSlots, "mesh": checkMesh} {
		if !c.IsSet(name) {
			continue
		}
		if err := check(c.String(name)); err != nil {
			return cfg, usagef("--%s %q: %v", name, c.String(name), err)
		}
	}
	for name, check := range map[string]func(string) error{"peer": checkPeer, "listen": checkAddress} {
		for _, addr := range c.StringSlice(name) {
			if err := check(addr); err != nil {
				return cfg, usagef("--%s %q: %v", name, addr, err)
			}
		}
	}
	mesh, err := node.MeshOf(home, c.String("mesh"), c.String("secret-file"))
	if err != nil {
		return cfg, usagef("%s", withoutRoom(err.Error()))
	}
	secretFile := c.String("secret-file")
	if secretFile != "" {
		if secretFile, err = filepath.Abs(secretFile); err != nil {
			return cfg, err
		}
	}
	slots := -1
	if c.IsSet("slots") {
		slots, _ = strconv.Atoi(c.String("slots")) // checked
	}
	python := ""
	if c.IsSet("python") {
		if python, err = pythonPath(c.String("python")); err != nil {
			return cfg, err
		}
	}
	return node.Config{
		Version: version, Home: home, Mesh: mesh, SecretFile: secretFile, Name: c.String("name"), Peers: c.StringSlice("peer"), NoMDNS: c.Bool("no-mdns"),
		Slots: slots, Python: python, ForClients: c.Bool("for-clients"), Listen: c.StringSlice("listen"), Log: newLog(c),
		OnReady: func(s node.Status) { describe(c.App.Writer, s) },
	}, nil
}

// newLog logs in short lines for people and in full for files.
func newLog(c *cli.Context) *slog.Logger {
	if c.Bool("verbose") {
		return slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if _, ok := terminal(c.App.ErrWriter); ok {
		return slog.New(&lineHandler{out: c.App.ErrWriter})
	}
	return slog.New(slog.NewTextHandler(c.App.ErrWriter, nil))
}
