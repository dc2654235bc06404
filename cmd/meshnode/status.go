// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"meshnode/job"
	"meshnode/node"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "show the node, its peers and its jobs",
		Description: "  meshnode status\n  meshnode status --json",
		Flags:       []cli.Flag{homeFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			client, home, err := connect(c)
			if err != nil {
				return err
			}
			s, err := client.Status(c.Context)
			if err != nil {
				return explained(err, home)
			}
			if c.Bool("json") {
				s.Self = complete(s.Self)
				s.Peers = completeAll(s.Peers)
				if s.Jobs == nil {
					s.Jobs = []node.JobStatus{}
				}
				return printJSON(c.App.Writer, s)
			}
			describe(c.App.Writer, s)
			if len(s.Peers) > 0 {
				fmt.Fprintln(c.App.Writer)
				printPeers(c.App.Writer, s.Peers)
			}
			if len(s.Jobs) > 0 {
				fmt.Fprintln(c.App.Writer)
				printJobs(c.App.Writer, s.Jobs)
			}
			return nil
		},
	}
}

// describe prints what a node is and what it can do.
func describe(w io.Writer, s node.Status) {
	self := complete(s.Self)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(table, "%s\t%s\n", name, oneLine(value)) }
	row("node", self.Name)
	row("id", string(self.ID))
	row("mesh", meshText(s.Mesh, s.Mark))
	row("home", s.Home)
	for i, addr := range self.Addrs {
		row(map[bool]string{true: "address", false: ""}[i == 0], addr)
	}
	row("slots", slotsText(self.Advert))
	row("renderers", renderersText(self.Advert))
	row("sandbox", sandboxText(self.Advert))
	row("blocks", bytesText(s.Blocks))
	for _, n := range s.Notes {
		row("note", withoutRoom(n))
	}
	table.Flush()
}

func slotsText(a *job.Advert) string {
	text := fmt.Sprint(a.Slots)
	if a.Speed > 0 {
		text += fmt.Sprintf(", %.1f frames/s each", a.Speed)
	}
	if a.Paused {
		text += ", paused"
	}
	if a.Sick != "" {
		text += ", sick"
	}
	return text
}

func renderersText(a *job.Advert) string {
	var names []string
	for _, e := range a.Environments {
		names = append(names, e.Renderer+" "+e.Version)
	}
	if len(names) == 0 {
		return "none known yet"
	}
	return strings.Join(names, ", ")
}

func sandboxText(a *job.Advert) string {
	if a.Lacks == "" && (a.Sandbox == "" || a.Sandbox == "none") {
		return "not tried yet"
	}
	return cell(a.Sandbox) // if none, a note says why
}

// complete fills in what a node has not said yet, so that every field is there.
func complete(p node.PeerStatus) node.PeerStatus {
	advert := job.Advert{}
	if p.Advert != nil {
		advert = *p.Advert
	}
	if advert.Environments == nil {
		advert.Environments = []job.Environment{}
	}
	if p.Addrs == nil {
		p.Addrs = []string{}
	}
	p.Advert = &advert
	return p
}

func completeAll(peers []node.PeerStatus) []node.PeerStatus {
	all := make([]node.PeerStatus, len(peers))
	for i, p := range peers {
		all[i] = complete(p)
	}
	return all
}
