// SPDX-License-Identifier: MIT

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// desktop is a folder with programs that stand for those of a desktop: each that
// opens a window notes its name in the file "windows".
type desktop string

// newDesktop makes a desktop that opens mp4 films with that application.
func newDesktop(t *testing.T, application string) desktop {
	t.Helper()
	d := desktop(folder(t))
	for name, script := range map[string]string{
		"xdg-mime": "echo " + application,
		"xdg-open": fmt.Sprintf("echo xdg-open $1 >> %s/windows", d),
		// Played to its end; begun before it was finished?
		"mpv": fmt.Sprintf("echo mpv >> %[1]s/windows\nls $(cat %[1]s/finished) 2>/dev/null >> %[1]s/windows\ncat > %[1]s/seen.mp4", d),
	} {
		if err := os.WriteFile(filepath.Join(string(d), name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// windows returns what was opened.
func (d desktop) windows() string {
	text, _ := os.ReadFile(filepath.Join(string(d), "windows"))
	return strings.TrimSpace(string(text))
}

// publish -p opens one window: while the film is rendered where the desktop's
// player can play what grows, else when it is finished, as Manim does.
func TestPreviewOpensOneWindow(t *testing.T) {
	for application, early := range map[string]bool{"mpv.desktop": true, "firefox.desktop": false} {
		t.Run(application, func(t *testing.T) {
			m := newMesh(t, 1) // several might be done before there is much to watch
			m.computers[0].withManim().start("--slots", "1")
			d := newDesktop(t, application)
			media := folder(t)
			film := filepath.Join(media, "videos", "slow", "480p30", "Slow.mp4")
			if err := os.WriteFile(filepath.Join(string(d), "finished"), []byte(film), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append(slices.Clone(slowArgs), "-p", "--fps", "30", "--media_dir", media) // long enough to be worth watching
			cmd := m.computers[0].command("publish", args...)
			cmd.Env = append(cmd.Env, "DISPLAY=:0", "PATH="+string(d)+":"+os.Getenv("PATH"))
			if a := finish(t, cmd); a.code != 0 {
				t.Fatalf("publish: exit code %d\n%s", a.code, a.err)
			}
			want := "xdg-open " + film
			if early {
				want = "mpv"
			}
			eventually(t, endTime, "a window is opened", func() bool { return d.windows() != "" })
			m.noStrays() // the player has ended
			if got := d.windows(); got != want {
				t.Errorf("opened %q, want %q", got, want)
			}
			if early {
				samePictures(t, filepath.Join(string(d), "seen.mp4"), film)
			}
		})
	}
}

// samePictures fails the test unless two films have the same frames.
func samePictures(t *testing.T, seen, film string) {
	t.Helper()
	media := folder(t)
	if err := os.Mkdir(filepath.Join(media, "videos"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"seen.mp4": seen, "film.mp4": film} {
		if err := os.Symlink(file, filepath.Join(media, "videos", name)); err != nil {
			t.Fatal(err)
		}
	}
	found := artefactsIn(t, media)
	a, b := found["videos/seen.mp4"], found["videos/film.mp4"]
	if len(a) != len(b) || len(b) < 2 {
		t.Fatalf("%d frames were seen, the film has %d", len(a)-1, len(b)-1)
	}
	for i := range b[1:] {
		_, one, _ := strings.Cut(a[i+1], " ")
		_, other, _ := strings.Cut(b[i+1], " ")
		if one != other {
			t.Fatalf("frame %d of the film is not what was seen", i)
		}
	}
}

// mpv itself plays a film while it is rendered, and shows every frame of it.
func TestFollowInMpv(t *testing.T) {
	if _, err := exec.LookPath("mpv"); err != nil {
		t.Skip(err)
	}
	m := houseOf(t)
	c := m.computers[0]
	conf, pictures := folder(t), folder(t)
	settings := "ao=null\nvo=image\nvo-image-format=jpg\nvo-image-outdir=" + pictures + "\n"
	if err := os.WriteFile(filepath.Join(conf, "mpv.conf"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := func() int {
		entries, err := os.ReadDir(pictures)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	p := c.publish(slowArgs...)
	follow := c.command("follow", "--player", "mpv", p.planned().Job)
	follow.Env = append(follow.Env, "MPV_HOME="+conf)
	var told bytes.Buffer
	follow.Stderr = &told
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, renderTime, "a picture is shown", func() bool { return shown() > 0 })
	select {
	case <-p.ended:
		t.Error("the film was finished before a picture of it was shown")
	default:
	}
	p.finished()
	if err := follow.Wait(); err != nil {
		t.Errorf("follow: %v: %s", err, &told)
	}
	if frames := p.planned().Frames; shown() != frames {
		t.Errorf("%d pictures were shown of %d", shown(), frames)
	}
}
