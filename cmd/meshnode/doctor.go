// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"meshnode/node"
	"meshnode/renderer/manim/environment"
	"meshnode/renderer/sandbox"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "check what this computer has for rendering",
		Description: "Exit code 1 when something keeps meshnode from rendering here.\n\n" +
			"  meshnode doctor\n  meshnode doctor --json",
		Flags: []cli.Flag{homeFlag(), pythonFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			home, err := homeFolder(c.String("home"))
			if err != nil {
				return err
			}
			python := ""
			if c.IsSet("python") {
				if python, err = pythonPath(c.String("python")); err != nil {
					return err
				}
			}
			checks := environment.Doctor(c.Context, home, python, proveSandbox(c.Context, home, python))
			checks = append(checks, meshCheck(home))
			if c.Context.Err() != nil {
				return context.Cause(c.Context)
			}
			if c.Bool("json") {
				err = printJSON(c.App.Writer, map[string]any{"checks": checks})
			} else {
				printChecks(c.App.Writer, checks)
			}
			for _, check := range checks {
				if check.Status == environment.Fail && err == nil {
					err = errors.New("this computer cannot render yet: see the failed checks")
				}
			}
			return err
		},
	}
}

func printChecks(w io.Writer, checks []environment.Check) {
	for _, check := range checks {
		fmt.Fprintf(w, "%-4s  %-9s %s\n", check.Status, check.Name, oneLine(check.Found))
		if check.Do != "" {
			fmt.Fprintf(w, "%-4s  %-9s %s\n", "", "", oneLine(check.Do))
		}
	}
}

// meshCheck tells which mesh a node on this home is in, unless it is told another.
func meshCheck(home string) environment.Check {
	m, err := node.MeshOf(home, "", "")
	if err != nil {
		return environment.Check{Name: "mesh", Status: environment.Fail, Found: withoutRoom(err.Error()),
			Do: "join it again: run \"meshnode mesh leave\", and then \"meshnode mesh join\" with the code from another computer"}
	}
	found := meshText(m.Name, m.Mark())
	if !m.Private() {
		found += ": whoever is in the network may join; \"meshnode mesh new\" makes a private one"
	}
	return environment.Check{Name: "mesh", Status: environment.OK, Found: found}
}

// proveSandbox attacks the sandbox from inside, as a node does at its start, with
// the environment that it would use.
func proveSandbox(ctx context.Context, home, python string) environment.Sandbox {
	runtime := sandbox.Runtime{Secret: []string{home}}
	if found, err := environment.Find(ctx, home, python); err == nil {
		runtime.ReadOnly = found[0].Prefixes
		runtime.Check = []string{found[0].Python, "-c", "import manim"}
	}
	report := sandbox.Probe(ctx, runtime, "")
	return environment.Sandbox{Tier: string(report.Tier), Reason: report.Reason}
}
