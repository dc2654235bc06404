// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/node"
)

func watchCommand() *cli.Command {
	return &cli.Command{
		Name:      "watch",
		Usage:     "show how a job goes, as publish does",
		ArgsUsage: "JOB",
		Description: "JOB was published here; it is its id as \"meshnode jobs\" shows it, or enough of its\n" +
			"end. Options come first. Ctrl-C leaves the job as it is. The exit code is the job's.\n\n" +
			"  meshnode watch k7wq2xea\n" +
			"  meshnode watch --json k7wq2xea",
		Flags: []cli.Flag{homeFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			home, id, err := jobMeant(c)
			if err != nil {
				return err
			}
			return watch(c, home, id)
		},
	}
}

// watch reports the events of a job until its end.
func watch(c *cli.Context, home, id string) error {
	report := newReporter(c, &invocation{json: c.Bool("json"), script: "job " + oneLine(id)}, time.Now())
	defer report.end()
	do := func(client *api.Client, ctx context.Context, _ node.PublishRequest, on func(node.Event)) error {
		return client.Watch(ctx, id, on)
	}
	err := explained(follow(c.Context, api.NewClient(home), do, report, node.PublishRequest{}), home)
	report.end()
	var interrupted *interrupt
	if errors.As(err, &interrupted) {
		fmt.Fprintf(c.App.ErrWriter, "meshnode: the job goes on without being watched: \"meshnode cancel %s\" ends it\n", oneLine(id))
	}
	return err
}
