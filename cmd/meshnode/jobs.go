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

func jobsCommand() *cli.Command {
	return &cli.Command{
		Name:        "jobs",
		Usage:       "list the jobs that the node knows, and those published here before",
		Description: "  meshnode jobs\n  meshnode jobs --json",
		Flags:       []cli.Flag{homeFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			client, home, err := connect(c)
			if err != nil {
				return err
			}
			jobs, err := client.Jobs(c.Context)
			if err != nil {
				return explained(err, home)
			}
			if c.Bool("json") {
				if jobs == nil {
					jobs = []node.JobStatus{}
				}
				return printJSON(c.App.Writer, map[string]any{"jobs": jobs})
			}
			if len(jobs) == 0 {
				fmt.Fprintln(c.App.Writer, "no jobs: publish one with \"meshnode publish scene.py SCENE\"")
				return nil
			}
			printJobs(c.App.Writer, jobs)
			return nil
		},
	}
}

func printJobs(w io.Writer, jobs []node.JobStatus) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "JOB\tSCENE\tFROM\tBEGUN\tSTATE\tFRAMES\tRATE\tTOOK\tLEFT\tRESULT")
	for _, j := range jobs {
		begun, rate, took, left, result := "-", "-", "-", "-", j.File
		if !j.Begun.IsZero() {
			begun = j.Begun.Local().Format("Jan _2 15:04")
		}
		if !j.Ended.IsZero() {
			took = clock(j.Ended.Sub(j.Begun))
		}
		if j.Rate > 0 {
			rate = fmt.Sprintf("%.1f/s", j.Rate)
		}
		if j.Seconds > 0 {
			left = clock(seconds(j.Seconds))
		}
		if j.Text != "" {
			result = lastLine(j.Text)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d/%d\t%s\t%s\t%s\t%s\n", cell(j.ID.Short()), cell(j.Name), cell(j.From), begun, cell(j.State),
			j.Done, j.Frames, rate, took, left, cell(result))
	}
	table.Flush()
}

// maxReason is how many columns of a reason a table shows.
const maxReason = 80

// lastLine returns the line of a traceback that says what went wrong.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	line, _ := cut(oneLine(withoutRoom(text[strings.LastIndexByte(text, '\n')+1:])), maxReason)
	return line
}
