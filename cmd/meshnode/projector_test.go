// SPDX-License-Identifier: MIT

//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func playerNamed(t *testing.T, name string) player {
	t.Helper()
	i := slices.IndexFunc(players, func(p player) bool { return p.name == name })
	return players[i]
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// A player that cannot be told of another film is closed and opened again; one that the
// user has closed is opened.
func TestProjectorOpensAgain(t *testing.T) {
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	program := "#!/bin/sh\ntrap 'echo closed >>" + said + "; exit' INT\nfor film; do :; done\necho $film >>" + said +
		"\nwhile sleep 0.02; do [ -e " + dir + "/close ] && exit; done\n"
	if err := os.WriteFile(filepath.Join(dir, "ffplay"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	p := &projector{player: playerNamed(t, "ffplay")}
	t.Cleanup(func() { p.close(); p.leave() })
	show := func(film, want string) {
		t.Helper()
		if err := p.show(film); err != nil {
			t.Fatal(err)
		}
		eventually(t, want, func() bool {
			data, _ := os.ReadFile(said)
			return string(data) == want
		})
	}
	show("a.mp4", "a.mp4\n")
	show("b.mp4", "a.mp4\nclosed\nb.mp4\n")
	if err := os.WriteFile(filepath.Join(dir, "close"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-p.closed
	if err := os.Remove(filepath.Join(dir, "close")); err != nil {
		t.Fatal(err)
	}
	show("c.mp4", "a.mp4\nclosed\nb.mp4\nc.mp4\n")
}

// mpv itself shows one film after the other in the same window.
func TestProjectorInMpv(t *testing.T) {
	if _, err := exec.LookPath("mpv"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	t.Setenv("MPV_HOME", dir)
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewNRGBA(image.Rect(0, 0, 16, 16))); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"mpv.conf": []byte("vo=null\nao=null\n"), "a.png": picture.Bytes(), "b c.png": picture.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &projector{player: playerNamed(t, "mpv")}
	t.Cleanup(func() { p.close(); p.leave() })
	shown := func() string {
		conn, err := net.Dial("unix", p.socket())
		if err != nil {
			return ""
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(answerTime))
		if _, err := conn.Write([]byte(`{"command":["get_property","path"],"request_id":7}` + "\n")); err != nil {
			return ""
		}
		lines := json.NewDecoder(conn)
		for {
			var answer struct {
				ID   int    `json:"request_id"`
				Data string `json:"data"`
			}
			if err := lines.Decode(&answer); err != nil || answer.ID == 7 {
				return answer.Data
			}
		}
	}
	var first *exec.Cmd
	for _, name := range []string{"a.png", "b c.png", "a.png"} {
		film := filepath.Join(dir, name)
		if err := p.show(film); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = p.cmd
		}
		eventually(t, name, func() bool { return shown() == film })
	}
	if p.cmd != first {
		t.Error("another window was opened")
	}
}

// VLC is told in the words of its remote control.
func TestLoadInVLC(t *testing.T) {
	for answer, fails := range map[string]bool{"add: returned 0 (no error)": false, "add: returned -1 (failure)": true} {
		here, there := net.Pipe()
		heard := make(chan string)
		go func() {
			data := make([]byte, 1000)
			n, _ := there.Read(data)
			_, _ = there.Write([]byte("status change: ( play state: 3 )\r\nclear: returned 0 (no error)\r\n" + answer + "\r\n"))
			there.Close()
			heard <- string(data[:n])
		}()
		if err := loadInVLC(here, "/films/a b.mp4"); (err != nil) != fails {
			t.Errorf("%s: error %v", answer, err)
		}
		if got := <-heard; !strings.HasSuffix(got, "add file:///films/a%20b.mp4\n") {
			t.Errorf("said %q", got)
		}
		here.Close()
	}
}
