// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"meshnode/renderer"
	"meshnode/renderer/manim"
	"meshnode/renderer/manim/environment"
)

func setupCommand() *cli.Command {
	return &cli.Command{
		Name:  "setup",
		Usage: "install Manim for meshnode, or adopt one",
		Description: "Makes a Python environment with Manim in the node's folder, or takes the one of\n" +
			"--python. Nothing else on the computer is changed. Quick when it is done already.\n" +
			"A node may have several: it renders with each for the jobs that need it.\n\n" +
			"  meshnode setup\n" +
			"  meshnode setup --manim 0.21.0\n" +
			"  meshnode setup --python ~/manim/bin/python",
		Flags: []cli.Flag{homeFlag(), pythonFlag(),
			&cli.StringFlag{
				Name: "manim", DefaultText: environment.ManagedManim,
				Usage: "`version` of Manim to install: " + strings.Join(environment.Supported(), ", "),
			}},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			home, err := homeFolder(c.String("home"))
			if err != nil {
				return err
			}
			say := func(line string) { fmt.Fprintln(c.App.Writer, printable(line)) }
			version := environment.ManagedManim
			if c.IsSet("manim") {
				version = c.String("manim")
				if err := environment.CheckVersion(version); err != nil {
					return usagef("--manim: %v", err)
				}
			}
			if c.IsSet("python") {
				if c.IsSet("manim") {
					return usagef("--python takes the Manim that is there: leave out --manim")
				}
				python, err := pythonPath(c.String("python"))
				if err != nil {
					return err
				}
				e, err := environment.Adopt(c.Context, home, python)
				if err != nil {
					return err
				}
				say(fmt.Sprintf("Manim %s of %s: a node has it from its next start", e.Manim, e.Python))
				return selfTest(c.Context, home, e.Python, say)
			}
			e, err := environment.Setup(c.Context, home, version, say)
			if err != nil {
				return err
			}
			say(fmt.Sprintf("Manim %s, Python %s: %s", e.Manim, e.Version, e.Python))
			return selfTest(c.Context, home, e.Python, say)
		},
	}
}

// selfTest renders the fixed scene by which computers are compared, unless what
// it gives is known: else the first job would have to wait for it, or do without
// computers that differ.
func selfTest(ctx context.Context, home, python string, say func(string)) error {
	r := manim.New(manim.Config{Home: home, Python: python, Slots: 1, Log: slog.New(slog.DiscardHandler)})
	defer r.Close()
	env, err := r.Choose(ctx, renderer.Wish{Program: python})
	if err != nil {
		return err
	}
	result, err := r.SelfTest(ctx, env.Fingerprint)
	if err != nil {
		return fmt.Errorf("%w: \"meshnode doctor\" tells what is missing", err)
	}
	say(fmt.Sprintf("Self-test: %.0f frames per second on one core", result.Speed))
	return nil
}

func pythonFlag() cli.Flag {
	return &cli.StringFlag{Name: "python", Usage: "`path` of a Python with Manim", TakesFile: true, DefaultText: "the one of meshnode setup"}
}

// pythonPath returns the absolute path of the interpreter that --python names, as
// the shell would find it.
func pythonPath(given string) (string, error) {
	found, err := exec.LookPath(given)
	if err != nil {
		return "", usagef("--python %q: no such program: name a Python interpreter", given)
	}
	abs, err := filepath.Abs(found)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", found, err)
	}
	return abs, nil
}
