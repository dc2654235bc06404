// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/node"
)

const whichPeer = "PEER is its name or id as \"meshnode peers\" shows it, or \"others\": all peers that\n" +
	"were not named. Options come first.\n\n"

func allowCommand() *cli.Command {
	return &cli.Command{
		Name:      "allow",
		Usage:     "let a peer render and submit, or tell which may",
		ArgsUsage: "[PEER]",
		Description: whichPeer +
			"  meshnode allow\n" +
			"  meshnode allow laptop\n" +
			"  meshnode allow --work-only others",
		Flags: []cli.Flag{homeFlag(), jsonFlag(),
			&cli.BoolFlag{DisableDefaultText: true, Name: "work-only", Usage: "its own jobs are not rendered here"}},
		Action: func(c *cli.Context) error {
			if !c.Args().Present() && !c.Bool("work-only") {
				return listRoles(c)
			}
			if c.Bool("work-only") {
				return setRole(c, node.RoleWorker)
			}
			return setRole(c, node.RoleFull)
		},
	}
}

func blockCommand() *cli.Command {
	return &cli.Command{
		Name:        "block",
		Usage:       "have nothing to do with a peer any more",
		ArgsUsage:   "PEER",
		Description: whichPeer + "  meshnode block k7wq2xea\n  meshnode block others",
		Flags:       []cli.Flag{homeFlag(), jsonFlag()},
		Action:      func(c *cli.Context) error { return setRole(c, node.RoleBlocked) },
	}
}

// roleTexts are what people are told of a peer's role.
var roleTexts = map[node.Role]string{
	node.RoleFull:    "renders and submits",
	node.RoleWorker:  "only works: its jobs are not rendered here",
	node.RoleBlocked: "blocked",
}

func setRole(c *cli.Context, role node.Role) error {
	peer := c.Args().First()
	if c.NArg() != 1 || peer == "" {
		return usagef("%s takes its options and then one peer: meshnode %[1]s PEER", c.Command.Name)
	}
	home, err := homeFolder(c.String("home"))
	if err != nil {
		return err
	}
	set, err := api.NewClient(home).SetRole(c.Context, peer, role)
	if errors.Is(err, api.ErrNoNode) {
		set, err = node.SetRole(home, peer, role)
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, set)
	}
	name := oneLine(string(set.Peer))
	if set.Name != "" {
		name = oneLine(set.Name) + " (" + name + ")"
	}
	fmt.Fprintf(c.App.ErrWriter, "meshnode: %s: %s\n", name, roleTexts[set.Role])
	return nil
}

func listRoles(c *cli.Context) error {
	client, home, err := connect(c)
	if err != nil {
		return err
	}
	roles, err := client.Roles(c.Context)
	if errors.Is(err, api.ErrNoNode) {
		roles, err = node.Roles(home)
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, map[string]any{"roles": roles})
	}
	printRoles(c.App.Writer, roles)
	return nil
}

func printRoles(w io.Writer, roles []node.PeerRole) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tID\tROLE")
	for _, r := range roles {
		name, id := cell(r.Name), string(r.Peer)
		if r.Peer == node.Others {
			name, id = "others", "-"
		}
		role := roleTexts[r.Role]
		if r.Why != "" {
			role += ": " + oneLine(r.Why)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, cell(id), role)
	}
	table.Flush()
}
