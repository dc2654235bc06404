// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/job"
	"meshnode/node"
)

func bundleCommand() *cli.Command {
	return &cli.Command{
		Name:      "bundle",
		Usage:     "pack what the node knows of a job, to find out what went wrong",
		ArgsUsage: "JOB",
		Description: "JOB is its id as \"meshnode jobs\" shows it, or enough of its end. Options come first.\n" +
			"The file has the job's manifest and every event and decision of this node since it\n" +
			"was started, and in the run before: \"meshnode replay\" shows them. Names of peers and\n" +
			"jobs are in there; the scene's files only with --assets, and those that this node has.\n\n" +
			"  meshnode bundle k7wq2xea\n" +
			"  meshnode bundle --assets --output /tmp/job.tar.gz k7wq2xea",
		Flags: []cli.Flag{
			homeFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "the `file`", DefaultText: "meshnode-JOB.tar.gz"},
			&cli.BoolFlag{Name: "assets", Usage: "with the scene's files"},
		},
		Action: func(c *cli.Context) error {
			home, id, err := jobMeant(c)
			if err != nil {
				return err
			}
			from, err := api.NewClient(home).Bundle(c.Context, id, c.Bool("assets"))
			if err != nil {
				return explained(err, home)
			}
			defer from.Close()
			name := c.String("output")
			if name == "" {
				name = "meshnode-" + job.ID(id).Short() + ".tar.gz"
			}
			if err := writeBundle(name, from); err != nil {
				return err
			}
			if err := tellLacks(c, name); err != nil {
				return err
			}
			fmt.Fprintf(c.App.ErrWriter, "meshnode: %s: \"meshnode replay %[1]s\" shows what is in it\n", name)
			return nil
		},
	}
}

// writeBundle makes a file that its owner alone can read; another of that name it
// replaces, once all is there.
func writeBundle(name string, from io.Reader) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // root could replace even /dev/null
		return usagef("%s is no file: give another --output", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".meshnode-*.part") // 0600
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	_, err = io.Copy(f, from)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("write the bundle: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// tellLacks says what should be in a bundle and is not.
func tellLacks(c *cli.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read the bundle: %w", err)
	}
	defer f.Close()
	about, err := node.Replay(bufio.NewReader(f), nil)
	if err != nil {
		return fmt.Errorf("read the bundle: %w", err)
	}
	printLacks(c, about)
	return nil
}

func printLacks(c *cli.Context, about *node.BundleInfo) {
	for _, what := range about.Lacks {
		fmt.Fprintf(c.App.ErrWriter, "meshnode: not in the bundle: %s\n", oneLine(what))
	}
}

func replayCommand() *cli.Command {
	return &cli.Command{
		Name:      "replay",
		Usage:     "run the decisions in a bundle again, and show them",
		ArgsUsage: "FILE",
		Description: "Everything that the node was told is told to the scheduler of this program, and what\n" +
			"it decides is printed: of the bundle's job, with identifiers by their ends. Exit code\n" +
			"1 when a decision is not what the node decided then. Nothing is rendered or sent.\n\n" +
			"  meshnode replay meshnode-k7wq2xea.tar.gz\n" +
			"  meshnode replay --all meshnode-k7wq2xea.tar.gz",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.BoolFlag{Name: "all", Usage: "what concerns other jobs too"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("replay takes its options and then one file: meshnode replay FILE")
			}
			return replay(c, c.Args().First())
		},
	}
}

// replay prints the steps of a bundle. What it is about comes last in the file, so it
// is read twice.
func replay(c *cli.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return usagef("%v", err)
	}
	defer f.Close()
	pass := func(look func(node.Step)) (*node.BundleInfo, error) {
		about, err := node.Replay(bufio.NewReader(&interruptibly{c.Context, f}), look)
		switch {
		case c.Context.Err() != nil:
			return nil, context.Cause(c.Context)
		case err != nil:
			return nil, usagef("%s: %v", name, err)
		}
		return about, nil
	}
	steps, others := 0, 0
	about, err := pass(func(s node.Step) {
		if steps++; !s.Same {
			others++
		}
	})
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	out := bufio.NewWriter(c.App.Writer)
	show := showStep
	if c.Bool("json") {
		show = showStepJSON
	}
	_, err = pass(func(s node.Step) {
		if c.Context.Err() == nil && (c.Bool("all") || !s.Same || s.About(about.Job.ID)) {
			show(out, s)
		}
	})
	if flushErr := out.Flush(); err == nil && flushErr != nil {
		err = fmt.Errorf("write: %w", flushErr)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "meshnode: job %s (%s) on %s with meshnode %s: %d steps\n",
		oneLine(about.Job.ID.Short()), oneLine(about.Job.Name), oneLine(complete(about.Node).Name), oneLine(about.Version), steps)
	printLacks(c, about)
	if others > 0 {
		return fmt.Errorf("%d of %d steps are decided otherwise by this program: they are marked with \"!\"", others, steps)
	}
	return nil
}

// long are identifiers, of which people read the end.
var long = regexp.MustCompile(`\b(?:12D3KooW|bafk)[0-9A-Za-z]+([0-9A-Za-z]{8})\b`)

// maxStep is how many columns of a line are shown.
const maxStep = 1000

func showStep(w io.Writer, s node.Step) {
	mark := " "
	if !s.Same {
		mark = "!"
	}
	for i, line := range s.Words() {
		line, _ = cut(oneLine(long.ReplaceAllString(line, "$1")), maxStep)
		if i == 0 {
			fmt.Fprintf(w, "%s %s %s\n", mark, s.At.UTC().Format("15:04:05.000"), line)
		} else {
			fmt.Fprintf(w, "               %s\n", line)
		}
	}
}

func showStepJSON(w io.Writer, s node.Step) {
	words := s.Words()
	_ = printJSON(w, map[string]any{"at": s.At.UTC(), "event": words[0], "actions": words[1:], "same": s.Same})
}
