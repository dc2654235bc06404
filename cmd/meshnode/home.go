// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"meshnode/api"
)

// homeFlag and jsonFlag return new flags: the cli package writes to them.
func homeFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "home", TakesFile: true,
		Usage: "the node's `folder`: key, blocks, jobs", DefaultText: "$MESHNODE_HOME or ~/.meshnode",
	}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{DisableDefaultText: true, Name: "json", Usage: "print JSON, for programs"}
}

// jobMeant returns the home, and the job that a command is about: its only argument.
func jobMeant(c *cli.Context) (home, id string, err error) {
	if id = c.Args().First(); c.NArg() != 1 || id == "" {
		return "", "", usagef("%s takes its options and then one job: meshnode %[1]s JOB", c.Command.Name)
	}
	home, err = homeFolder(c.String("home"))
	return home, id, err
}

// homeFolder returns the node's home as an absolute path: the one given, that of
// MESHNODE_HOME, or .meshnode in the user's own.
func homeFolder(given string) (string, error) {
	if given == "" {
		given = os.Getenv("MESHNODE_HOME")
	}
	if given != "" {
		abs, err := filepath.Abs(given)
		if err != nil {
			return "", fmt.Errorf("find the folder %s: %w", given, err)
		}
		return abs, nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", usagef("no home folder is known: give one with --home")
	}
	return filepath.Join(user, ".meshnode"), nil
}

// connect returns a client of the node that owns the command's home.
func connect(c *cli.Context) (*api.Client, string, error) {
	if err := noArguments(c); err != nil {
		return nil, "", err
	}
	home, err := homeFolder(c.String("home"))
	if err != nil {
		return nil, "", err
	}
	return api.NewClient(home), home, nil
}

// explained tells people what to do about an error of the client.
func explained(err error, home string) error {
	if errors.Is(err, api.ErrNoNode) {
		return fmt.Errorf("no node is running for %s: start one with \"meshnode run\"", home)
	}
	return err
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
