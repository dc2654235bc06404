// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/node"
)

func followCommand() *cli.Command {
	return &cli.Command{
		Name:      "follow",
		Usage:     "watch the film of a job while it is rendered",
		ArgsUsage: "JOB",
		Description: "JOB was published here; it is its id as \"meshnode jobs\" shows it, or enough of its\n" +
			"end. Options come first. The film has no sound before it is finished.\n\n" +
			"  meshnode follow k7wq2xea\n" +
			"  meshnode follow --output - k7wq2xea | mpv -",
		Flags: []cli.Flag{
			homeFlag(),
			&cli.StringFlag{Name: "player", Usage: "the `program` that plays it: " + playerNames(), DefaultText: "the desktop's for films, else the first of these"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the film to a `file`, or to standard output (\"-\"), as fragmented MP4"},
			// Of publish -p: in place of the finished film.
			&cli.BoolFlag{Name: "preview", Hidden: true},
		},
		Action: func(c *cli.Context) error {
			home, id, err := jobMeant(c)
			if err != nil {
				return err
			}
			var p player
			if c.String("output") == "" {
				if p, err = choosePlayer(c.String("player")); err != nil {
					return err
				}
			}
			film, err := api.NewClient(home).Follow(c.Context, id, node.FollowRequest{Preview: c.Bool("preview")})
			if err != nil {
				return explained(err, home)
			}
			defer film.Close()
			if output := c.String("output"); output != "" {
				err = writeFilm(c, film, output)
			} else {
				err = play(c, film, p)
			}
			switch {
			case c.Context.Err() != nil:
				return context.Cause(c.Context)
			case errors.Is(err, io.ErrUnexpectedEOF):
				return errors.New("the film ends early: its job has failed or was canceled (else node.log in the home says why)")
			}
			return err
		},
	}
}

func writeFilm(c *cli.Context, film *api.Film, output string) error {
	if output == "-" {
		_, err := io.Copy(c.App.Writer, film)
		return err
	}
	f, err := os.Create(output)
	if err != nil {
		return fmt.Errorf("write the film: %w", err)
	}
	_, err = io.Copy(f, film)
	return errors.Join(err, f.Close())
}

// play gives the film to a player, once there is something to be seen, and waits
// until the user has closed it.
func play(c *cli.Context, film *api.Film, p player) error {
	in := bufio.NewReader(film)
	if _, err := in.Peek(1); err != nil {
		return err
	}
	title := strings.TrimSuffix(film.Name, filepath.Ext(film.Name))
	cmd := exec.CommandContext(c.Context, p.name, p.args(title)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, c.App.ErrWriter, c.App.ErrWriter
	cmd.WaitDelay = time.Second // when it has been closed, it reads no further
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.As(err, &exit):
		return fmt.Errorf("%s ended: %v", p.name, exit)
	}
	return err
}
