// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// projector shows one film after the other: in one player that is told of each, or in one
// that takes the place of the last.
type projector struct {
	player player
	dir    string // with the socket of the player; "": none was needed
	cmd    *exec.Cmd
	closed chan struct{} // with cmd, when it has ended
}

// Times of a projector.
const (
	answerTime = 2 * time.Second        // for a player to take a film
	openPoll   = 20 * time.Millisecond  // between two tries to reach one that has just been started
	closeTime  = 500 * time.Millisecond // for one to close its window
)

// show shows a film: in the window that is open, else in a new one.
func (p *projector) show(film string) error {
	if p.isOpen() {
		if p.player.load == nil || runtime.GOOS == "windows" { // a named pipe there
			p.close()
		} else if err := p.load(film); err == nil {
			return nil
		} else if p.isOpen() {
			return fmt.Errorf("%s has not taken the new film: %w", p.player.name, err)
		}
	}
	return p.open(film)
}

func (p *projector) isOpen() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.closed:
		return false
	default:
		return true
	}
}

// open starts a player, which outlives this process.
func (p *projector) open(film string) error {
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "meshnode-")
		if err != nil {
			return fmt.Errorf("show the film: %w", err)
		}
		p.dir = dir
	}
	_ = os.Remove(p.socket()) // of a player that was closed
	cmd := exec.Command(p.player.name, p.player.stay(p.socket(), film)...)
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("show the film: %w", err)
	}
	closed := make(chan struct{})
	go func() { // ends with the player, or with this process
		_ = cmd.Wait()
		close(closed)
	}()
	p.cmd, p.closed = cmd, closed
	return nil
}

func (p *projector) socket() string { return filepath.Join(p.dir, "player") }

// load has the player that is open play another film.
func (p *projector) load(film string) error {
	until := time.Now().Add(answerTime)
	conn, err := net.Dial("unix", p.socket())
	for err != nil && p.isOpen() && time.Now().Before(until) { // it is just starting
		time.Sleep(openPoll)
		conn, err = net.Dial("unix", p.socket())
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(until); err != nil {
		return err
	}
	return p.player.load(conn, film)
}

// close closes the window.
func (p *projector) close() {
	_ = p.cmd.Process.Signal(os.Interrupt) // Windows has none
	select {
	case <-p.closed:
	case <-time.After(closeTime):
		_ = p.cmd.Process.Kill()
		<-p.closed
	}
}

// leave leaves the window to the user.
func (p *projector) leave() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// loadInMPV is the load of mpv's JSON IPC.
func loadInMPV(conn net.Conn, film string) error {
	order, err := json.Marshal(map[string]any{"command": []string{"loadfile", film, "replace"}, "request_id": 1})
	if err != nil {
		return err
	}
	if _, err := conn.Write(append(order, '\n')); err != nil {
		return err
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var answer struct {
			ID    int    `json:"request_id"`
			Error string `json:"error"`
		}
		if json.Unmarshal(lines.Bytes(), &answer) != nil || answer.ID != 1 {
			continue // an event
		}
		if answer.Error != "success" {
			return errors.New(answer.Error)
		}
		return nil
	}
	return errors.New("no answer")
}

// loadInVLC is the load of VLC's remote control.
func loadInVLC(conn net.Conn, film string) error {
	place := url.URL{Scheme: "file", Path: film}
	if _, err := fmt.Fprintf(conn, "clear\nadd %s\n", place.String()); err != nil {
		return err
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if answer, ok := strings.CutPrefix(lines.Text(), "add: "); ok {
			if strings.HasPrefix(answer, "returned 0") {
				return nil
			}
			return errors.New(answer)
		}
	}
	return errors.New("no answer")
}
