// SPDX-License-Identifier: MIT

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Node and helper talk over a pair of packet sockets:
//
//	node    -> launch   launchOrder            (Bwrap, if the node is root)
//	node    -> confine  confineOrder
//	confine -> node     report, with In and Out as descriptors
//	node    -> confine  one byte: go on
//	confine -> node     report of a failure, or end of file: the job runs
//
// The orders wait in the socket until their reader comes. Both ends see the
// death of the other as an end of file.
const (
	controlFD = 3         // the helper's end
	orderMax  = 160 << 10 // below the 208 KiB that a Linux socket takes by default
)

// launchOrder is for the stage that leaves root before bubblewrap.
type launchOrder struct {
	Argv   []string // of bubblewrap
	Staged []mount  // to be put where bubblewrap's user can reach them
	Become int      // user and group to take
}

// confineOrder is for the stage that becomes the job.
type confineOrder struct {
	Build    bool // make mounts and links here; Bwrap has made them before
	Basic    bool // there are no namespaces: the host's files are there
	Poller   bool // the program is our own, in Go
	Become   int  // the node is root: leave its user for this one
	Dirs     Dirs
	Mounts   []mount
	Links    []link
	Memory   []tmpfs
	Readable []string
	Program  string // path; Argv[0] is its name
	Argv     []string
	Env      []string
	Dir      string
	Limits   Limits
}

type report struct {
	Error string
	PID   int // of the helper, as itself sees it
}

// controlPair returns the node's end and the helper's.
func controlPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("sandbox: no socket for the helper: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control")
	defer ours.Close() // FileConn has a copy
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("sandbox: no socket for the helper: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

func sendOrder(conn *net.UnixConn, order any) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	if len(text) > orderMax {
		return fmt.Errorf("arguments and environment of %d bytes: more than %d", len(text), orderMax)
	}
	_, err = conn.Write(text)
	return err
}

// awaitReady returns the helper's process id and the descriptors of In, Out and Tmp.
func awaitReady(conn *net.UnixConn) (pid int, folders []*os.File, err error) {
	const want = 3
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(want*4))
	n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return 0, nil, waitError(err)
	}
	var fds []int
	if messages, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) == 1 {
		fds, _ = unix.ParseUnixRights(&messages[0])
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		folders = append(folders, os.NewFile(uintptr(fd), "folder"))
	}
	r, err := reported(buf[:n])
	if err == nil && len(folders) != want {
		err = errors.New("the helper sent no folders")
	}
	if err != nil {
		for _, f := range folders {
			f.Close()
		}
		return 0, nil, err
	}
	return r.PID, folders, nil
}

// awaitRunning returns when the helper has become the job, or says why not.
func awaitRunning(conn *net.UnixConn) error {
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if errors.Is(err, io.EOF) {
		return nil // closed by execve
	}
	if err != nil {
		return waitError(err)
	}
	_, err = reported(buf[:n])
	return err
}

func waitError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no answer in %v", startTimeout)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the helper ended without a word")
	}
	return err
}

func reported(text []byte) (r report, err error) {
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("the helper answered %.100q", text)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// startTimeout bounds all of a start. One takes 10 to 50 ms.
const startTimeout = 10 * time.Second

// The helper's side works on the bare descriptor: it must not start Go's
// poller, whose descriptors and threads the job would begin with.

func receiveOrder(order any) error {
	buf := make([]byte, orderMax)
	n, err := unix.Read(controlFD, buf)
	if err != nil {
		return err
	}
	return json.Unmarshal(buf[:n], order)
}

func sendReady(folders ...int) error {
	text, _ := json.Marshal(report{PID: os.Getpid()})
	return unix.Sendmsg(controlFD, text, unix.UnixRights(folders...), nil, unix.MSG_NOSIGNAL)
}

func sendFailure(err error) {
	message := err.Error()
	text, _ := json.Marshal(report{Error: message[:min(len(message), 2000)]})
	unix.Sendmsg(controlFD, text, nil, nil, unix.MSG_NOSIGNAL)
}

// awaitGo fails if the node is gone: its death before the helper asked to be
// killed with it would otherwise pass unseen.
func awaitGo() error {
	buf := make([]byte, 1)
	if n, err := unix.Read(controlFD, buf); n != 1 {
		return fmt.Errorf("the node is gone (%v)", err)
	}
	return nil
}
