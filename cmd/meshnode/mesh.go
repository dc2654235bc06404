// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/urfave/cli/v2"

	"meshnode/node"
	"meshnode/p2p"
)

func meshCommand() *cli.Command {
	return &cli.Command{
		Name:  "mesh",
		Usage: "make a mesh private, or join one",
		Description: "Without a command it tells which mesh this computer is in. In an open mesh is\n" +
			"whoever is in the network; in a private one, who has its code.\n\n" +
			"  meshnode mesh new studio\n" +
			"  meshnode mesh join studio-k7wq2-…\n" +
			"  meshnode mesh code\n" +
			"  meshnode mesh leave",
		Flags: []cli.Flag{homeFlag(), jsonFlag()},
		Subcommands: []*cli.Command{
			{
				Name: "new", Usage: "make a private mesh, and print what to type on the other computers",
				ArgsUsage: "[NAME]", Flags: []cli.Flag{homeFlag()}, Action: newMesh,
			},
			{
				Name: "join", Usage: "join the private mesh that the code is of",
				ArgsUsage: "CODE", Flags: []cli.Flag{homeFlag(), secretFileFlag()}, Action: joinMesh,
			},
			{Name: "code", Usage: "print the code of the private mesh", Flags: []cli.Flag{homeFlag()}, Action: printCode},
			{Name: "leave", Usage: "leave the private mesh", Flags: []cli.Flag{homeFlag()}, Action: leaveMesh},
		},
		Action: func(c *cli.Context) error {
			m, err := meshOf(c)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, map[string]any{"mesh": m.Name, "mark": m.Mark()})
			}
			fmt.Fprintln(c.App.Writer, meshText(m.Name, m.Mark()))
			return nil
		},
	}
}

func secretFileFlag() cli.Flag {
	return &cli.StringFlag{Name: "secret-file", TakesFile: true, Usage: "`file` with the code of a private mesh"}
}

// meshText is a mesh for people, as p2p.Mesh words it.
func meshText(name, mark string) string {
	if mark == "" {
		return oneLine(name) + " (open)"
	}
	return fmt.Sprintf("%s (private, %s)", oneLine(name), oneLine(mark))
}

// meshHome is the home of a command below mesh, where --home may stand before it.
func meshHome(c *cli.Context) (string, error) {
	given := ""
	for _, above := range c.Lineage() {
		if given == "" {
			given = above.String("home")
		}
	}
	return homeFolder(given)
}

// meshOf returns the mesh of the command's home.
func meshOf(c *cli.Context) (p2p.Mesh, error) {
	if err := noArguments(c); err != nil {
		return p2p.Mesh{}, err
	}
	home, err := meshHome(c)
	if err != nil {
		return p2p.Mesh{}, err
	}
	return node.MeshOf(home, "", "")
}

func newMesh(c *cli.Context) error {
	home, err := meshHome(c)
	if err != nil {
		return err
	}
	name := node.DefaultMesh
	switch {
	case c.NArg() > 1:
		return usagef("mesh new takes its options and then one name: meshnode mesh new NAME")
	case c.NArg() == 1:
		name = c.Args().First()
	}
	if err := checkMesh(name); err != nil {
		return usagef("mesh name %q: %v", name, err)
	}
	m, err := p2p.NewMesh(name)
	if err != nil {
		return err
	}
	if err := node.JoinMesh(home, m); err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "meshnode: this computer is in the private mesh %v from the next \"meshnode run\" on; on each of the others, type:\n", m)
	fmt.Fprintf(c.App.Writer, "meshnode mesh join %s\n", m.Code())
	return nil
}

func joinMesh(c *cli.Context) error {
	home, err := meshHome(c)
	if err != nil {
		return err
	}
	var m p2p.Mesh
	switch file := c.String("secret-file"); {
	case c.NArg() == 1 && file == "":
		m, err = p2p.ParseCode(c.Args().First())
	case c.NArg() == 0 && file != "":
		m, err = p2p.ReadMesh(file)
	default:
		return usagef("mesh join takes its options and then one code, or --secret-file: meshnode mesh join CODE")
	}
	if err != nil {
		return usagef("%s", withoutRoom(err.Error()))
	}
	if err := node.JoinMesh(home, m); err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "meshnode: this computer is in the private mesh %v from the next \"meshnode run\" on\n", m)
	return nil
}

func printCode(c *cli.Context) error {
	m, err := meshOf(c)
	if err != nil {
		return err
	}
	if !m.Private() {
		return fmt.Errorf("this home is in an open mesh, which needs no code: \"meshnode mesh new\" makes a private one")
	}
	fmt.Fprintln(c.App.Writer, m.Code())
	return nil
}

func leaveMesh(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	home, err := meshHome(c)
	if err != nil {
		return err
	}
	err = node.LeaveMesh(home)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("this home is in no private mesh")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "meshnode: this computer is in the open mesh %q from the next \"meshnode run\" on; what it has of the private one is kept apart, for when it is joined again\n", node.DefaultMesh)
	return nil
}
