// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"meshnode/node"
)

// programs makes a folder with shell scripts of these names and contents.
func programs(t *testing.T, scripts map[string]string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no shell scripts on this system")
	}
	dir := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDesktopPlayer(t *testing.T) {
	for _, test := range []struct{ answer, display, want string }{
		{"echo mpv.desktop", ":0", "mpv"},
		{"echo vlc_vlc.desktop", ":0", "vlc"},
		{"echo mpv.desktop", "", ""},
		{"echo firefox.desktop", ":0", ""},
		{"echo io.mpv.Mpv.desktop", ":0", ""}, // a Flatpak: no program of that name
		{"echo ffplay.desktop", ":0", ""},     // not installed
		{"true", ":0", ""},
		{"exit 4", ":0", ""},
	} {
		t.Setenv("PATH", programs(t, map[string]string{"xdg-mime": test.answer, "mpv": "", "vlc": ""}))
		t.Setenv("DISPLAY", test.display)
		t.Setenv("WAYLAND_DISPLAY", "")
		if p, ok := desktopPlayer(); p.name != test.want || ok != (test.want != "") {
			t.Errorf("%q with display %q: %q, want %q", test.answer, test.display, p.name, test.want)
		}
	}
}

func TestChoosePlayer(t *testing.T) {
	t.Setenv("DISPLAY", ":0")
	t.Setenv("PATH", programs(t, map[string]string{"xdg-mime": "echo vlc.desktop", "mpv": "", "vlc": ""}))
	for name, want := range map[string]string{"": "vlc", "mpv": "mpv", "ffplay": "not installed", "totem": "must be one of mpv, vlc, ffplay"} {
		p, err := choosePlayer(name)
		if err == nil && p.name != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("--player %q: %q, %v; want %q", name, p.name, err, want)
		}
	}
	t.Setenv("PATH", programs(t, map[string]string{"xdg-mime": "echo firefox.desktop", "ffplay": ""}))
	if p, err := choosePlayer(""); err != nil || p.name != "ffplay" {
		t.Errorf("with ffplay alone: %q, %v", p.name, err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := choosePlayer(""); err == nil {
		t.Error("a player is found where there is none")
	}
}

// film answers follow with these bytes; broken off, where the job fails.
func film(t *testing.T, home, bytes string, broken bool) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/jobs/k7wq2xea/follow", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", "inline; filename=Sine.mp4")
		fmt.Fprint(w, bytes)
		_ = http.NewResponseController(w).Flush()
		if broken {
			panic(http.ErrAbortHandler)
		}
	})
	serveAt(t, home, mux)
}

func TestFollowToAFile(t *testing.T) {
	home := t.TempDir()
	film(t, home, "moving pictures", false)
	c := newCommand(t, home, "follow", "-o", "-", "k7wq2xea")
	c.finish(t, 0)
	if c.stdout.String() != "moving pictures" {
		t.Errorf("printed %q", &c.stdout)
	}
	c = newCommand(t, home, "follow", "--output", "a.mp4", "k7wq2xea")
	c.finish(t, 0)
	if got, err := os.ReadFile(filepath.Join(c.Dir, "a.mp4")); err != nil || string(got) != "moving pictures" {
		t.Errorf("wrote %q, %v", got, err)
	}
	newCommand(t, home, "follow", "--output", "-", "other").finish(t, 1)
	newCommand(t, home, "follow").finish(t, 2)
}

func TestFollowAFilmThatBreaksOff(t *testing.T) {
	home := t.TempDir()
	film(t, home, "moving", true)
	c := newCommand(t, home, "follow", "-o", "-", "k7wq2xea")
	c.finish(t, 1)
	if c.stdout.String() != "moving" || !strings.Contains(c.stderr.String(), "the film ends early") {
		t.Errorf("printed %q, %q", &c.stdout, &c.stderr)
	}
}

func TestFollowInAPlayer(t *testing.T) {
	for _, test := range []struct {
		player string
		code   int
		want   string // in what is told
	}{
		{`shift $(($# - 2)); echo "$1 $2"; cat`, 0, "--force-media-title=Sine -\nmoving pictures"},
		{"exit 0", 0, ""}, // closed by the user
		{"echo no display >&2; exit 3", 1, "no display\nmeshnode: mpv ended: exit status 3"},
	} {
		home := t.TempDir()
		film(t, home, "moving pictures", false)
		t.Setenv("PATH", programs(t, map[string]string{"mpv": test.player})+string(os.PathListSeparator)+os.Getenv("PATH"))
		c := newCommand(t, home, "follow", "--player", "mpv", "k7wq2xea")
		c.finish(t, test.code)
		if !strings.Contains(c.stderr.String(), test.want) {
			t.Errorf("%q: told %q, want %q", test.player, &c.stderr, test.want)
		}
	}
}

// TestPreview: publish opens the film with the desktop's player, in a process
// that outlives it, when told to, and never for a program.
func TestPreview(t *testing.T) {
	events := []node.Event{
		{Event: "watchable", Job: "bafkreik7wq2xea", Preview: true},
		{Event: "finished", File: "/media/a.mp4"},
	}
	for _, test := range []struct {
		name string
		args []string
		mime string
		want bool
	}{
		{"a known player", nil, "mpv.desktop", true},
		{"a browser", nil, "firefox.desktop", false},
		{"a program", []string{"--json"}, "mpv.desktop", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			fake := newFakeNode(home)
			fake.events = func(node.PublishRequest) []node.Event { return events }
			fake.serve(t, home)
			t.Setenv("PATH", programs(t, map[string]string{"xdg-mime": "echo " + test.mime, "mpv": ""})+string(os.PathListSeparator)+os.Getenv("PATH"))
			t.Setenv("DISPLAY", ":0")
			c := newCommand(t, home, append([]string{"publish", "scene.py", "-p", "--follow"}, test.args...)...)
			c.finish(t, 0)
			if told := strings.Contains(c.stderr.String(), "meshnode follow k7wq2xea"); told != (test.args == nil) {
				t.Errorf("told %q", &c.stderr)
			}
			if test.want {
				if got := <-fake.requests; !strings.HasPrefix(got, "/v1/jobs/bafkreik7wq2xea/follow ") || !strings.Contains(got, `{"preview":true}`) {
					t.Errorf("asked for %q", got)
				}
			}
			select {
			case got := <-fake.requests:
				t.Errorf("asked for %q", got)
			default:
			}
		})
	}
}
