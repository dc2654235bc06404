// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/node"
)

func finishCommand() *cli.Command {
	return &cli.Command{
		Name:      "finish",
		Usage:     "make the film of a job here whose own computer does not come back",
		ArgsUsage: "JOB",
		Description: "JOB was published on another computer; it is its id as \"meshnode jobs\" shows it, or\n" +
			"enough of its end. Options come first. All cells are fetched, those that nobody has\n" +
			"are rendered, and the film is made of them alone: without sound, sections and\n" +
			"subcaptions, which only the other computer has. Ctrl-C leaves the node at work on it.\n\n" +
			"  meshnode finish k7wq2xea\n" +
			"  meshnode finish --output ~/Videos/talk.mp4 k7wq2xea",
		Flags: []cli.Flag{
			homeFlag(), jsonFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "the film's `file`; of a sequence of pictures, their folder", DefaultText: "in this folder, named after the scene and the job"},
		},
		Action: func(c *cli.Context) error {
			home, id, err := jobMeant(c)
			if err != nil {
				return err
			}
			req := node.FinishRequest{Job: id}
			if req.Dir, err = os.Getwd(); err != nil {
				return fmt.Errorf("working folder: %w", err)
			}
			if output := c.String("output"); output != "" {
				if req.File, err = filepath.Abs(output); err != nil {
					return fmt.Errorf("--output %s: %w", output, err)
				}
			}
			return finish(c, home, req)
		},
	}
}

// finish reports how a film is made, and says where it is.
func finish(c *cli.Context, home string, req node.FinishRequest) error {
	report := newReporter(c, &invocation{json: c.Bool("json"), script: "job " + oneLine(req.Job)}, time.Now())
	defer report.end()
	film := ""
	do := func(client *api.Client, ctx context.Context, _ node.PublishRequest, on func(node.Event)) error {
		return client.Finish(ctx, req, func(e node.Event) {
			film = e.File
			on(e)
		})
	}
	err := explained(follow(c.Context, api.NewClient(home), do, report, node.PublishRequest{}), home)
	report.end()
	if err == nil && !c.Bool("json") {
		report.note("the film, of pictures alone, is " + film)
	}
	var interrupted *interrupt
	if errors.As(err, &interrupted) {
		fmt.Fprintf(c.App.ErrWriter, "meshnode: the node goes on: \"meshnode finish %s\" shows how far it is\n", oneLine(req.Job))
	}
	return err
}
