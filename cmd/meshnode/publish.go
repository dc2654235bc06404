// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"meshnode/api"
	"meshnode/job"
	"meshnode/node"
)

func publishCommand() *cli.Command {
	return &cli.Command{
		Name:      "publish",
		Aliases:   []string{"render"},
		Usage:     "render a scene on all nodes of the mesh",
		ArgsUsage: "FILE [SCENE] [options]",
		Description: "Takes the options of `manim render`, in any order, and writes the same file in\n" +
			"the same place. Starts a node if none is running; it ends with the job.\n\n" +
			"  meshnode publish scene.py SineCurve -qh -p\n" +
			"  meshnode publish -ql --format gif scene.py\n" +
			"  meshnode scene.py SineCurve -pqh\n\n" + optionHelp(),
		// Manim's rules for options are not those of the cli package.
		SkipFlagParsing: true,
		HideHelp:        true,
		Action: func(c *cli.Context) error {
			in, err := split(c.Args().Slice())
			if err != nil {
				return err
			}
			if in.help {
				return cli.ShowSubcommandHelp(c)
			}
			if in.watch {
				return publishAgain(c, in)
			}
			return publish(c, in)
		},
	}
}

// optionHelp lists the supported options.
func optionHelp() string {
	var manim, own strings.Builder
	for _, opt := range options {
		if opt.help == "" {
			continue
		}
		to := &manim
		if opt.own {
			to = &own
		}
		name := strings.Join(opt.names, ", ")
		if opt.value != "" {
			name += " " + opt.value
		}
		fmt.Fprintf(to, "  %-37s %s\n", name, opt.help)
	}
	return "Options of Manim:\n" + manim.String() + "\nOptions of meshnode:\n" + strings.TrimRight(own.String(), "\n")
}

// requestOf makes the request that a command line is about, for the node of a
// home.
func requestOf(c *cli.Context, in *invocation) (home string, req node.PublishRequest, err error) {
	if home, err = homeFolder(in.home); err != nil {
		return "", req, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", req, fmt.Errorf("find the working folder: %w", err)
	}
	if info, err := os.Stat(in.script); in.script != "-" && (err != nil || info.IsDir()) {
		return "", req, usagef("%s: no such file: name the scene's script", in.script)
	}
	if in.python != "" {
		if in.version != "" {
			return "", req, usagef("--python renders with the Manim that is there: leave out --manim")
		}
		if in.python, err = pythonPath(in.python); err != nil {
			return "", req, err
		}
	}
	req = node.PublishRequest{
		Args: in.manim, Dir: dir, Env: jobEnvironment(c), CellFrames: in.cellFrames, LocalSlots: in.slots, Assets: in.assets,
		Manim: in.version, Python: in.python, Strict: in.strict, Trust: in.trust, DryRun: in.dryRun, Detach: in.detach,
	}
	if in.script == "-" {
		req.Input, err = typedScript(c.Context, c.App.Reader, c.App.ErrWriter)
	}
	return home, req, err
}

// publish carries a job through: it makes sure of a node, submits the job to it
// and reports until the end.
func publish(c *cli.Context, in *invocation) error {
	begun := time.Now()
	home, req, err := requestOf(c, in)
	if err != nil {
		return err
	}
	if !in.dryRun {
		req.Ticket = node.NewTicket() // so that another node knows it, should this one die
	}
	report := newReporter(c, in, begun)
	defer report.end()
	for _, text := range in.notes {
		report.note(text)
	}
	do, planned := (*api.Client).Publish, job.ID("")
	if in.detach {
		do = untilPlanned(&planned)
		if r, ok := report.(*textReporter); ok {
			r.out, r.shared = r.err, true // the id alone is the result
		}
	}
	err = submitChosen(c, c.Context, do, report, in, home, &req)
	if planned != "" && err == nil && !in.json {
		fmt.Fprintln(c.App.Writer, planned)
		fmt.Fprintf(c.App.ErrWriter, "meshnode: the job goes on: \"meshnode watch %s\" shows how, \"meshnode cancel %[1]s\" ends it\n", planned.Short())
	}
	var interrupted *interrupt
	kind := node.FailedRender
	if errors.As(err, &interrupted) {
		kind = node.FailedCanceled
		fmt.Fprintln(c.App.ErrWriter, "meshnode: interrupted: the job is canceled")
	}
	if r, ok := report.(*jsonReporter); ok && err != nil && !r.ended {
		r.event(node.Event{Event: "failed", Kind: kind, Text: err.Error()})
	}
	return err
}

// submitChosen is submit, and asks the user which scenes are meant if he has to say:
// the request has them from then on.
func submitChosen(c *cli.Context, ctx context.Context, do order, report reporter, in *invocation, home string, req *node.PublishRequest) error {
	err := submit(ctx, do, report, in, home, *req)
	report.end()
	var choice *choiceError
	if !errors.As(err, &choice) || in.json {
		return err
	}
	if req.Scenes, err = choose(ctx, c.App.Reader, c.App.ErrWriter, choice.scenes); err != nil {
		return err
	}
	defer report.end()
	return submit(ctx, do, report, in, home, *req)
}

// untilPlanned publishes a request and leaves it, once a job of it is planned.
func untilPlanned(planned *job.ID) order {
	return func(client *api.Client, ctx context.Context, req node.PublishRequest, on func(node.Event)) error {
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		err := client.Publish(ctx, req, func(e node.Event) {
			if *planned != "" {
				return
			}
			on(e)
			if e.Event == "planned" {
				*planned = e.Job
				leave()
			}
		})
		if *planned != "" {
			return nil
		}
		return err
	}
}

// newReporter chooses how to report: in JSON, with a bar, or with lines only.
func newReporter(c *cli.Context, in *invocation, begun time.Time) reporter {
	if in.json {
		return &jsonReporter{out: c.App.Writer}
	}
	r := &textReporter{
		out: c.App.Writer, err: c.App.ErrWriter, style: styleOf(os.Getenv), leave: in.progress == "leave",
		now: time.Now, start: begun, script: filepath.Base(in.script), dryRun: in.dryRun,
	}
	if tty, ok := terminal(c.App.ErrWriter); ok && in.progress != "none" {
		r.screen = &screen{out: tty, size: sizeOf(tty)}
		r.shared = sameTerminal(c.App.Writer, tty)
		r.plan()
	}
	return r
}

// jobEnvironment is the user's, with the width of his terminal for the renderer's
// own lines.
func jobEnvironment(c *cli.Context) []string {
	env := os.Environ()
	if tty, ok := terminal(c.App.Writer); ok && os.Getenv("COLUMNS") == "" {
		width, _ := sizeOf(tty)()
		env = append(env, fmt.Sprintf("COLUMNS=%d", width))
	}
	return env
}

// attempts bounds how often publish looks for a node: one that was started for
// clients may end just when it is found.
const attempts = 3

// revivals bounds how often a job goes on whose node has died.
const revivals = 3

// order is what a node is asked to do with a request, telling of it in events.
type order func(*api.Client, context.Context, node.PublishRequest, func(node.Event)) error

// submit finds or starts a node, hands it the order and reports its events. When the
// node dies the next one on its home has what a request with a ticket is about, and
// goes on.
func submit(ctx context.Context, do order, report reporter, in *invocation, home string, req node.PublishRequest) error {
	client := api.NewClient(home)
	report = newViewer(report, in, home)
	for attempt, revived := 1, 0; ; attempt++ {
		status, running, err := ensureNode(ctx, client, home, nodeArgs(in), report.waiting)
		if err != nil {
			return err
		}
		if running && attempt == 1 && revived == 0 && !in.again {
			for _, text := range differences(in, status) {
				report.note(text)
			}
		}
		taken := false // the node has the request
		err = follow(ctx, client, func(client *api.Client, ctx context.Context, req node.PublishRequest, on func(node.Event)) error {
			return do(client, ctx, req, func(e node.Event) { taken = true; on(e) })
		}, report, req)
		var refused *api.Error
		ending := errors.Is(err, api.ErrNoNode) || errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable
		switch {
		case errors.Is(err, api.ErrBroken) && taken && req.Ticket != "" && ctx.Err() == nil && revived < revivals:
			revived++
			attempt = 0
			report.note("the node has died: the next one on its home goes on with the job")
		case !ending || attempt == attempts:
			return explained(err, home)
		}
	}
}

// nodeArgs are the options of `meshnode run` for a node started for this job.
func nodeArgs(in *invocation) []string {
	var args []string
	if in.mesh != "" {
		args = append(args, "--mesh", in.mesh)
	}
	if in.secretFile != "" {
		args = append(args, "--secret-file", in.secretFile)
	}
	for _, p := range in.peers {
		args = append(args, "--peer", p)
	}
	if in.noMDNS {
		args = append(args, "--no-mdns")
	}
	if in.python != "" {
		args = append(args, "--python", in.python)
	}
	return args
}

// differences says which options have no effect because a node is running
// already.
func differences(in *invocation, status node.Status) []string {
	var notes []string
	if in.mesh != "" && in.mesh != status.Mesh {
		notes = append(notes, fmt.Sprintf("the running node is in mesh %q and renders there, not in %q: end it first, or use another --home", status.Mesh, in.mesh))
	}
	var idle []string
	if in.secretFile != "" {
		idle = append(idle, "--secret-file")
	}
	if len(in.peers) > 0 {
		idle = append(idle, "--peer")
	}
	if in.noMDNS {
		idle = append(idle, "--no-mdns")
	}
	if len(idle) > 0 {
		notes = append(notes, fmt.Sprintf("%s: without effect, as a node is running already: give it to \"meshnode run\"", strings.Join(idle, ", ")))
	}
	return notes
}

// follow submits the order and reports its events until the last.
func follow(ctx context.Context, client *api.Client, do order, report reporter, req node.PublishRequest) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan node.Event)
	result := make(chan error, 1)
	go func() { // ends with the stream, which ends with ctx
		result <- do(client, ctx, req, func(e node.Event) {
			select {
			case events <- e:
			case <-ctx.Done():
			}
		})
	}()
	ticker := time.NewTicker(redraw / 4)
	defer ticker.Stop()
	var last node.Event
	for {
		select {
		case last = <-events:
			report.event(last)
		case <-ticker.C:
			report.tick()
		case err := <-result:
			if err == nil && last.Event == "failed" {
				return failed(last)
			}
			return err
		}
	}
}

// failed turns the last event of a job that failed into an error.
func failed(e node.Event) error {
	switch e.Kind {
	case node.FailedUsage:
		return &usageError{e.Text}
	case node.FailedChoice:
		return &choiceError{usageError{e.Text}, e.Scenes}
	case node.FailedScene:
		return &sceneError{e.Text}
	case node.FailedCanceled:
		return errors.New("the job was canceled")
	case node.FailedStopped:
		return errors.New(e.Text)
	}
	return fmt.Errorf("the job failed: %s", withoutRoom(e.Text))
}

// sceneError is an error of the user's own scene; its text is what Manim prints
// for it.
type sceneError struct{ text string }

func (e *sceneError) Error() string { return e.text }
