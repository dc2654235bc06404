// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"os"
	"os/exec"

	"meshnode/node"
)

// viewer is a reporter that lets the user see the film while it is rendered.
type viewer struct {
	reporter
	home   string
	follow bool       // say how to watch it
	open   bool       // in place of the renderer, which would open it at the end
	ended  chan error // the player that was opened has ended
}

// newViewer adds to a reporter what the command line asks for. Programs open
// nothing before the renderer would.
func newViewer(report reporter, in *invocation, home string) *viewer {
	return &viewer{reporter: report, home: home, follow: in.follow && !in.json, open: !in.json && !in.watch, ended: make(chan error, 1)}
}

func (v *viewer) event(e node.Event) {
	v.reporter.event(e)
	if e.Event != "watchable" {
		return
	}
	if v.follow {
		v.note("watch it while it is rendered: meshnode follow " + e.Job.Short())
	}
	if v.open && e.Preview && e.Scene == "" { // of several, each is opened when it is ready
		if err := v.show(e); err != nil {
			v.note(err.Error())
		}
	}
}

// show opens the desktop's own player if that can play a film that grows. The
// process that feeds it outlives this one: a film may be longer than its render.
func (v *viewer) show(e node.Event) error {
	p, ok := desktopPlayer()
	if !ok {
		return nil
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the meshnode program to show the film: %w", err)
	}
	cmd := exec.Command(exe, "follow", "--home", v.home, "--player", p.name, "--preview", string(e.Job))
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("show the film: %w", err)
	}
	go func() { // ends with the player, or with this process
		if err := cmd.Wait(); err != nil {
			v.ended <- fmt.Errorf("%s has not shown the film to its end: %w", p.name, err)
		}
	}()
	return nil
}

func (v *viewer) tick() {
	select {
	case err := <-v.ended:
		v.note(err.Error())
	default:
	}
	v.reporter.tick()
}
