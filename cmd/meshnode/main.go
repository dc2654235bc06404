// SPDX-License-Identifier: MIT

// Command meshnode renders animations on all the computers of a local network.
//
// Each command has a file of its own: flags in, calls of the local API out,
// words printed. docs/cli.md describes them all.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"meshnode/node"
	"meshnode/renderer/sandbox"
)

// Exit codes. A command ended by signal n exits with 128+n: 130 for Ctrl-C.
const (
	exitFailed = 1 // the render, or whatever was asked for
	exitUsage  = 2 // of the command
	exitInUse  = 3 // of run: another process owns the home
)

// usageError is a mistake in the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

func main() {
	sandbox.MaybeInit() // does not return in a process that prepares a sandbox
	ctx := interruptible(context.Background())
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	if isPublish(app, args) {
		args = append([]string{"publish"}, args...)
	}
	err := app.RunContext(ctx, append([]string{app.Name}, args...))
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	var interrupted *interrupt
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &interrupted):
		return interrupted.code()
	}
	complain(stderr, err)
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, node.ErrInUse):
		return exitInUse
	}
	return exitFailed
}

// complain tells the user of an error; one of his scene as Manim prints it, and
// nothing else.
func complain(stderr io.Writer, err error) {
	if scene := (*sceneError)(nil); errors.As(err, &scene) {
		fmt.Fprintln(stderr, strings.TrimRight(scene.text, "\n"))
		return
	}
	fmt.Fprintf(stderr, "meshnode: %s\n", printable(withoutRoom(err.Error())))
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:      "meshnode",
		Usage:     "render animations on all your computers",
		UsageText: "meshnode COMMAND [options]\nmeshnode FILE [SCENE] [options]   the same as meshnode publish",
		Description: "Start a node on each computer, then publish a scene on any of them:\n\n" +
			"  meshnode run\n" +
			"  meshnode publish scene.py SineCurve -qh -p",
		Commands: []*cli.Command{
			publishCommand(), explainCommand(), runCommand(), peersCommand(), statusCommand(), jobsCommand(), watchCommand(), followCommand(),
			finishCommand(), cancelCommand(), pauseCommand(), resumeCommand(), allowCommand(), blockCommand(), meshCommand(), setupCommand(), doctorCommand(),
			verifyCommand(), storeCommand(), bundleCommand(), replayCommand(), versionCommand(),
		},
		Writer:          stdout,
		ErrWriter:       stderr,
		HideHelpCommand: true,
		HideVersion:     true,
		ExitErrHandler:  func(*cli.Context, error) {}, // run prints, and chooses the exit code
		OnUsageError:    onUsageError,
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return cli.ShowAppHelp(c)
			}
			return unknownCommand(c)
		},
	}
	dress(app.Commands)
	return app
}

// dress gives commands, and those below them, the look of this program.
func dress(commands []*cli.Command) {
	for _, cmd := range commands {
		cmd.HideHelpCommand = true
		cmd.OnUsageError = onUsageError
		if cmd.ArgsUsage == "" {
			cmd.ArgsUsage = " "
		}
		dress(cmd.Subcommands)
	}
}

// isPublish says whether args leave out the command, as Manim lets them do: no
// command is named, but a script is.
func isPublish(app *cli.App, args []string) bool {
	if len(args) == 0 || app.Command(args[0]) != nil {
		return false
	}
	return slices.ContainsFunc(args, func(arg string) bool { return strings.HasSuffix(arg, ".py") })
}

func unknownCommand(c *cli.Context) error {
	name := c.Args().First()
	var names []string
	for _, cmd := range c.App.Commands {
		names = append(names, cmd.Names()...)
	}
	if near := closest(name, names); near != "" {
		return usagef("unknown command %q: did you mean %q?", name, near)
	}
	return usagef("unknown command %q: see meshnode --help", name)
}

// onUsageError words a complaint of the option parser as all others are.
func onUsageError(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		var names []string
		for _, f := range c.Command.Flags {
			names = append(names, f.Names()...)
		}
		if near := closest(name, names); near != "" {
			return usagef("unknown option --%s: did you mean --%s?", name, near)
		}
		return usagef("unknown option --%s: see meshnode %s --help", name, c.Command.Name)
	}
	return usagef("%s: see meshnode %s --help", text, c.Command.Name)
}

// noArguments refuses what a command would silently ignore.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("unexpected argument %q: see meshnode %s --help", c.Args().First(), c.Command.Name)
	}
	return nil
}
