// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// player is a program that plays a film from its standard input while the film
// grows: it waits for what is not there yet, and leaves nothing out.
type player struct {
	name string
	args func(title string) []string

	// For films that are finished: stay opens one and keeps the window at its end, load
	// then has it play another, over the socket; nil: it cannot.
	stay func(socket, film string) []string
	load func(conn net.Conn, film string) error
}

// players are those that were tried, the best first.
var players = []player{
	{
		name: "mpv",
		args: func(title string) []string {
			return []string{"--quiet", "--msg-level=all=error", "--cache=yes", "--force-media-title=" + title, "-"}
		},
		stay: func(socket, film string) []string {
			return []string{"--quiet", "--msg-level=all=error", "--force-window=yes", "--keep-open=yes", "--keep-open-pause=no",
				"--image-display-duration=inf", "--input-ipc-server=" + socket, "--", film}
		},
		load: loadInMPV,
	},
	{
		name: "vlc",
		args: func(title string) []string {
			return []string{"--quiet", "--no-one-instance", "--play-and-exit", "--meta-title=" + title, "-"}
		},
		stay: func(socket, film string) []string {
			return []string{"--quiet", "--no-one-instance", "--extraintf", "oldrc", "--rc-unix", socket, "--rc-fake-tty", film}
		},
		load: loadInVLC,
	},
	{
		name: "ffplay",
		args: func(title string) []string {
			return []string{"-loglevel", "error", "-autoexit", "-noframedrop", "-window_title", title, "-"}
		},
		stay: func(_, film string) []string {
			return []string{"-loglevel", "error", "-window_title", filepath.Base(film), film}
		},
	},
}

// playerNames is for messages.
func playerNames() string {
	names := make([]string, len(players))
	for i, p := range players {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}

// choosePlayer returns the player of that name or, without one, the desktop's,
// else the first that is installed.
func choosePlayer(name string) (player, error) {
	if name != "" {
		for _, p := range players {
			if p.name == name {
				if _, err := exec.LookPath(name); err != nil {
					return player{}, usagef("--player %s: not installed", name)
				}
				return p, nil
			}
		}
		return player{}, usagef("--player %q: must be one of %s: others can be given the film with --output -", name, playerNames())
	}
	if p, ok := desktopPlayer(); ok {
		return p, nil
	}
	for _, p := range players {
		if _, err := exec.LookPath(p.name); err == nil {
			return p, nil
		}
	}
	return player{}, usagef("none of %s is installed: others can be given the film with --output -", playerNames())
}

// desktopPlayer returns the player that opens mp4 films on this desktop, if it
// is one of those known.
func desktopPlayer() (player, bool) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" || os.Getenv("DISPLAY")+os.Getenv("WAYLAND_DISPLAY") == "" {
		return player{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "xdg-mime", "query", "default", "video/mp4").Output()
	if err != nil {
		return player{}, false
	}
	return playerOfDesktop(string(out))
}

// playerOfDesktop returns the player that a desktop's file is about: "mpv.desktop",
// "vlc_vlc.desktop" of a snap.
func playerOfDesktop(file string) (player, bool) {
	file, ok := strings.CutSuffix(strings.TrimSpace(file), ".desktop")
	name, _, _ := strings.Cut(file, "_")
	for _, p := range players {
		if _, err := exec.LookPath(name); ok && p.name == name && err == nil {
			return p, true
		}
	}
	return player{}, false
}
