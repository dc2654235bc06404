// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/node"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "say whether a film is what its scene draws",
		ArgsUsage: "FILM [SCRIPT SCENE options of publish]",
		Description: fmt.Sprintf("Draws parts of the scene again, on this computer, and compares the film with them. Of a film\n"+
			"that was published here nothing else need be said; of others, how they were rendered.\n\n"+
			"  meshnode verify media/videos/scene/1080p60/SineCurve.mp4\n"+
			"  meshnode verify SineCurve.mp4 scene.py SineCurve -qh --all\n\n"+
			"  --cells N         draw N cells again, chosen by chance (default: %d)\n"+
			"  --all             draw all\n"+
			"  --cells-seed N    choose those that were chosen with that number\n"+
			"  --home, --json    as for all commands", node.EnoughCells),
		SkipFlagParsing: true,
		HideHelp:        true,
		Action: func(c *cli.Context) error {
			args, req, err := splitVerify(c.Args().Slice())
			if err != nil {
				return err
			}
			in, files, err := parse(args)
			switch {
			case err != nil:
				return err
			case in.help:
				return cli.ShowSubcommandHelp(c)
			case len(files) == 0:
				return usagef("no film is given: meshnode verify FILM")
			}
			return verify(c, req, in, files)
		},
	}
}

// splitVerify takes out what is not an option of publish.
func splitVerify(args []string) (rest []string, req node.VerifyRequest, err error) {
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		switch name {
		case "--all":
			req.All = true
			continue
		case "--cells", "--cells-seed":
		default:
			rest = append(rest, args[i])
			continue
		}
		if !joined {
			if i++; i == len(args) {
				return nil, req, usagef("%s needs a value", name)
			}
			value = args[i]
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n == 0 {
			return nil, req, usagef("%s %q: must be a whole number above 0", name, value)
		}
		if name == "--cells" {
			req.Cells = uint32(n)
		} else {
			req.Seed = n
		}
	}
	return rest, req, nil
}

// verify has a film verified, the first of the files; the others are its script and
// scene.
func verify(c *cli.Context, req node.VerifyRequest, in *invocation, files []string) error {
	begun := time.Now()
	film, err := filepath.Abs(files[0])
	if err != nil {
		return fmt.Errorf("find %s: %w", files[0], err)
	}
	if info, err := os.Stat(film); err != nil || info.IsDir() {
		return usagef("%s: no such file: name the film first: meshnode verify FILM", files[0])
	}
	home, err := sceneOf(c, &req, in, files)
	if err != nil {
		return err
	}
	req.Film, req.Env = film, jobEnvironment(c)
	report := &verifier{reporter: &jsonReporter{out: io.Discard}}
	if !in.json {
		in.script = filepath.Base(film) // what is being planned, to the user
		r := newReporter(c, in, begun).(*textReporter)
		r.out, r.shared = r.err, true // the scene's own words are not the result
		report.reporter = r
	}
	defer report.end()
	do := func(client *api.Client, ctx context.Context, _ node.PublishRequest, on func(node.Event)) error {
		return client.Verify(ctx, req, on)
	}
	if err := submit(c.Context, do, report, in, home, node.PublishRequest{}); err != nil {
		return err
	}
	report.end()
	found := report.found
	switch {
	case found == nil:
		return errors.New("the node verifies nothing: it is of another version: end it and start it again")
	case in.json:
		if err := printJSON(c.App.Writer, found); err != nil {
			return err
		}
	default:
		printVerification(c.App.Writer, found)
	}
	if !found.OK {
		return fmt.Errorf("%s is not what the scene draws", oneLine(files[0]))
	}
	return nil
}

// sceneOf adds the scene to a request, if the command line says which, and returns the
// home of the node.
func sceneOf(c *cli.Context, req *node.VerifyRequest, in *invocation, files []string) (home string, err error) {
	at := slices.Index(in.manim, files[0])
	in.manim = slices.Delete(in.manim, at, at+1)
	if len(in.manim) == 0 {
		return homeFolder(in.home)
	}
	if err := in.finish(files[1:]); err != nil {
		return "", err
	}
	if in.script == "-" || in.dryRun || in.detach || in.watch {
		return "", usagef("verify takes a script in a file, and options that say how it was rendered")
	}
	req.Scene = new(node.PublishRequest)
	home, *req.Scene, err = requestOf(c, in)
	return home, err
}

// verifier is a reporter that keeps what was found.
type verifier struct {
	reporter
	found *node.Verification
}

func (v *verifier) event(e node.Event) {
	switch e.Event {
	case "verified":
		v.found = e.Verification
		return
	case "log": // the scene's own words, as when it was rendered
		return
	}
	v.reporter.event(e)
}

func printVerification(w io.Writer, v *node.Verification) {
	fmt.Fprintf(w, "%s: %d of %s drawn again (--cells-seed %d): %d as in the film, byte for byte",
		oneLine(v.Name), v.Checked, count(v.Cells, "cell"), v.Seed, v.Same)
	if v.Alike > 0 {
		fmt.Fprintf(w, ", %d with the same pictures from another encoder", v.Alike)
	}
	fmt.Fprintln(w)
	if v.Altered {
		fmt.Fprintln(w, "The file is not the one that was written here: its SHA-256 is another. If it was rendered otherwise since, name its scene.")
	}
	for _, d := range v.Differ {
		fmt.Fprintf(w, "%8.2f s to %.2f s: %s", d.From, d.To, oneLine(d.Why))
		if d.PSNR > 0 {
			fmt.Fprintf(w, " (PSNR %.1f dB)", d.PSNR)
		}
		fmt.Fprintln(w)
	}
}
