// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/job"
	"meshnode/node"
)

func storeCommand() *cli.Command {
	return &cli.Command{
		Name:  "store",
		Usage: "show, check and clear the blocks that the node keeps",
		Description: "Assets, finished cells and what may be of use again. Works with the node that runs, and\n" +
			"without one.\n\n" +
			"  meshnode store\n  meshnode store verify\n  meshnode store collect --quota 1GB --dry-run",
		Flags: []cli.Flag{homeFlag(), jsonFlag()},
		Subcommands: []*cli.Command{
			{
				Name: "verify", Usage: "read all blocks, and remove the damaged ones",
				Description: "A job that needs one gets it again. The exit code is 1 if there was one.",
				Flags:       []cli.Flag{homeFlag(), jsonFlag()},
				Action:      verifyStore,
			},
			{
				Name: "collect", Usage: "delete what nothing needs, what was used least recently first",
				Description: "A node does that by itself, down to the quota and the free space that \"meshnode store\"\n" +
					"shows.\n\n  meshnode store collect --quota 0\n  meshnode store collect --min-free 20GB --dry-run",
				Flags: []cli.Flag{homeFlag(), jsonFlag(),
					&cli.StringFlag{Name: "quota", Usage: "`bytes` that the store may have then, as 1GB", DefaultText: "the node's"},
					&cli.StringFlag{Name: "min-free", Usage: "`bytes` to be free on the disk then", DefaultText: "the node's"},
					&cli.BoolFlag{DisableDefaultText: true, Name: "dry-run", Usage: "say how much would go, and delete nothing"}},
				Action: collectStore,
			},
		},
		Action: func(c *cli.Context) error {
			return withStore(c, func(s store) error {
				status, err := s.StoreStatus(c.Context)
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return printJSON(c.App.Writer, status)
				}
				printStore(c.App.Writer, status)
				return nil
			})
		},
	}
}

// store is the blocks of a home: a node's, or those that none uses now.
type store interface {
	StoreStatus(context.Context) (node.StorageStatus, error)
	VerifyStore(context.Context) (node.StorageVerified, error)
	CollectStore(context.Context, node.CollectRequest) (node.StorageCollected, error)
}

// withStore does something with the store of the command's home.
func withStore(c *cli.Context, do func(store) error) error {
	client, home, err := connect(c)
	if err != nil {
		return err
	}
	if err := do(client); !errors.Is(err, api.ErrNoNode) {
		return err
	}
	s, err := node.OpenStorage(home)
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

func verifyStore(c *cli.Context) error {
	return withStore(c, func(s store) error {
		done, err := s.VerifyStore(c.Context)
		if err != nil {
			return err
		}
		if c.Bool("json") {
			if err := printJSON(c.App.Writer, done); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(c.App.Writer, "%s checked, %s sound\n", count(done.Blocks, "block"), bytesText(done.Bytes))
			for _, cid := range done.Damaged {
				fmt.Fprintf(c.App.Writer, "damaged, and removed: %s\n", oneLine(string(cid)))
			}
		}
		if n := len(done.Damaged); n > 0 {
			return fmt.Errorf("the store had %s: they are removed, and fetched or rendered again where a job needs them; if it happens again, the disk may fail", count(n, "damaged block"))
		}
		return nil
	})
}

func collectStore(c *cli.Context) error {
	req := node.CollectRequest{DryRun: c.Bool("dry-run")}
	for name, to := range map[string]**uint64{"quota": &req.Quota, "min-free": &req.MinFree} {
		if !c.IsSet(name) {
			continue
		}
		n, err := parseBytes(c.String(name))
		if err != nil {
			return usagef("--%s %q: %v", name, c.String(name), err)
		}
		*to = &n
	}
	return withStore(c, func(s store) error {
		done, err := s.CollectStore(c.Context, req)
		if err != nil {
			return err
		}
		if c.Bool("json") {
			return printJSON(c.App.Writer, done)
		}
		verb := "deleted"
		if done.DryRun {
			verb = "would be deleted"
		}
		fmt.Fprintf(c.App.Writer, "%s %s, %s left\n", bytesText(done.Freed), verb, bytesText(done.Left))
		return nil
	})
}

func printStore(w io.Writer, s node.StorageStatus) {
	free := "not known"
	if s.Free != nil {
		free = bytesText(*s.Free) + " on the disk"
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "stored\t%s in %s\n", bytesText(s.Bytes), count(s.Blocks, "block"))
	fmt.Fprintf(table, "needed\t%s: the rest is kept as it may be of use again\n", bytesText(s.Pinned))
	fmt.Fprintf(table, "results\t%s of earlier jobs, %s\n", count(s.Results, "cell"), bytesText(s.Kept))
	fmt.Fprintf(table, "quota\t%s: above it goes what nothing needs\n", bytesText(s.Quota))
	fmt.Fprintf(table, "free\t%s: below %s goes what nothing needs\n", free, bytesText(s.MinFree))
	table.Flush()
	if len(s.Owners) == 0 {
		return
	}
	fmt.Fprintln(w)
	fmt.Fprintln(table, "NEEDED BY\tSCENE\tBLOCKS\tBYTES")
	for _, o := range s.Owners {
		name := o.Owner
		if o.Name != "" {
			name = job.ID(name).Short()
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", cell(name), cell(o.Name), o.Blocks, bytesText(o.Bytes))
	}
	table.Flush()
}

// parseBytes reads a size as bytesText writes it, or with binary units.
func parseBytes(text string) (uint64, error) {
	bad := errors.New("must be a size, such as 500MB, 2GB or 1GiB")
	at := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	number, unit := text, ""
	if at >= 0 {
		number, unit = text[:at], strings.ToLower(strings.TrimSpace(text[at:]))
	}
	n, err := strconv.ParseFloat(number, 64)
	unit, step := strings.TrimSuffix(unit, "b"), 1000.0
	if rest, binary := strings.CutSuffix(unit, "i"); binary && rest != "" {
		unit, step = rest, 1024
	}
	power := slices.Index([]string{"", "k", "m", "g", "t"}, unit)
	n *= math.Pow(step, float64(power))
	if err != nil || power < 0 || n >= 1<<63 {
		return 0, bad
	}
	return uint64(n), nil
}
