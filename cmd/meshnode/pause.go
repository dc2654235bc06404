// SPDX-License-Identifier: MIT

package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func pauseCommand() *cli.Command {
	return &cli.Command{
		Name:        "pause",
		Usage:       "stop rendering for others, until resume",
		Description: "The node's own jobs go on.\n\n  meshnode pause\n  meshnode pause --off",
		Flags:       []cli.Flag{homeFlag(), &cli.BoolFlag{DisableDefaultText: true, Name: "off", Usage: "the same as meshnode resume"}},
		Action:      func(c *cli.Context) error { return setPaused(c, !c.Bool("off")) },
	}
}

func resumeCommand() *cli.Command {
	return &cli.Command{
		Name:        "resume",
		Usage:       "render for others again, after pause",
		Description: "  meshnode resume",
		Flags:       []cli.Flag{homeFlag()},
		Action:      func(c *cli.Context) error { return setPaused(c, false) },
	}
}

func setPaused(c *cli.Context, paused bool) error {
	client, home, err := connect(c)
	if err != nil {
		return err
	}
	if err := client.Pause(c.Context, paused); err != nil {
		return explained(err, home)
	}
	text := "renders for others again"
	if paused {
		text = "takes no cells of others until \"meshnode resume\""
	}
	fmt.Fprintf(c.App.ErrWriter, "meshnode: the node %s\n", text)
	return nil
}
