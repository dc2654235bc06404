// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"meshnode/node"
)

func peersCommand() *cli.Command {
	return &cli.Command{
		Name:        "peers",
		Usage:       "list the other nodes of the mesh",
		Description: "  meshnode peers\n  meshnode peers --json",
		Flags:       []cli.Flag{homeFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			client, home, err := connect(c)
			if err != nil {
				return err
			}
			peers, err := client.Peers(c.Context)
			if err != nil {
				return explained(err, home)
			}
			s, err := client.Status(c.Context)
			if err != nil {
				return explained(err, home)
			}
			switch {
			case c.Bool("json"):
				return printJSON(c.App.Writer, map[string]any{"mesh": s.Mesh, "mark": s.Mark, "peers": completeAll(peers)})
			case len(peers) == 0:
				printAlone(c.App.Writer, s)
			default:
				fmt.Fprintf(c.App.Writer, "mesh %s\n", meshText(s.Mesh, s.Mark))
				printPeers(c.App.Writer, peers)
			}
			return nil
		},
	}
}

func printPeers(w io.Writer, peers []node.PeerStatus) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tID\tSYSTEM\tSLOTS\tSPEED\tSANDBOX\tRENDERERS\tADDRESS")
	for _, p := range completeAll(peers) {
		speed, address := "-", "-"
		if p.Speed > 0 {
			speed = fmt.Sprintf("%.1f/s", p.Speed)
		}
		if len(p.Addrs) > 0 {
			address, _, _ = strings.Cut(p.Addrs[0], "/p2p/")
		}
		slots := fmt.Sprint(p.Slots)
		switch {
		case p.Paused:
			slots = "paused"
		case p.Sick != "":
			slots = "sick"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cell(p.Name), cell(p.ID.Short()), cell(p.OS), slots, speed,
			cell(p.Sandbox), cell(renderersText(p.Advert)), cell(address))
	}
	table.Flush()
}

// cell is one column of a table; an empty one would shift those behind it.
func cell(text string) string {
	if text = oneLine(text); text == "" {
		return "-"
	}
	return text
}

// printAlone says what to check when no peer is found.
func printAlone(w io.Writer, s node.Status) {
	fmt.Fprintf(w, "no other node in mesh %s yet; check that\n"+
		"  - \"meshnode run\" runs on another computer of this network, in the same mesh\n"+
		"  - no firewall on either holds back mDNS (UDP port 5353) or the node's TCP port\n"+
		"  - the network passes multicast; many guest networks do not\n", meshText(s.Mesh, s.Mark))
	if len(s.Self.Addrs) > 0 {
		fmt.Fprintf(w, "or name this node on the other computer:\n  meshnode run --peer %s\n", oneLine(s.Self.Addrs[0]))
	}
}
