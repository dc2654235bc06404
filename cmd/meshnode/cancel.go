// SPDX-License-Identifier: MIT

package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"meshnode/api"
)

func cancelCommand() *cli.Command {
	return &cli.Command{
		Name:      "cancel",
		Usage:     "end a job that was published here",
		ArgsUsage: "JOB",
		Description: "JOB is its id as \"meshnode jobs\" shows it, or enough of its end. Options come first.\n\n" +
			"  meshnode cancel k7wq2xea",
		Flags: []cli.Flag{homeFlag()},
		Action: func(c *cli.Context) error {
			home, id, err := jobMeant(c)
			if err != nil {
				return err
			}
			if err := api.NewClient(home).Cancel(c.Context, id); err != nil {
				return explained(err, home)
			}
			fmt.Fprintf(c.App.ErrWriter, "meshnode: job %s is canceled\n", oneLine(id))
			return nil
		},
	}
}
