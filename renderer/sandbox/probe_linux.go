// SPDX-License-Identifier: MIT

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// targets is what the attacks aim at. It is sent to the probe over its stdin.
type targets struct {
	Tier          Tier
	Dirs          Dirs
	Program       string   // path of the probe
	Bait          string   // folder of the bait, which is not the job's
	Node          int      // process id of the node
	NodeProcesses uint64   // that the node may have
	Secret        []string // folders that must not be there
	ReadOnly      []string // folders and files that must not be writable
	Listener      string   // address of a TCP listener of the node
	Limits        Limits
}

func (t *targets) bait() string { return filepath.Join(t.Bait, "bait") }

// probeLimits are small, so that running into them is quick.
func probeLimits() Limits {
	l := DefaultLimits()
	l.Processes = 32
	l.OpenFiles = 64
	l.FileSize = 1 << 20
	l.Out = Space{2 << 20, 64}
	l.Wall = probeTimeout
	return l
}

// attack runs all attacks in a tier and returns their results. scratch is a folder
// for temporary ones.
func attack(ctx context.Context, tier Tier, r Runtime, scratch string) ([]Result, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	v, err := viewOf(r)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer listener.Close()
	if scratch, err = os.MkdirTemp(scratch, "probe-"); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o711); err != nil { // Basic of root goes through it
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	bait, err := layBait(scratch)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}

	var processes unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &processes); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	limits := probeLimits().orDefault()
	aims := targets{
		Tier: tier, Dirs: inside, Program: "/" + probeStage, Bait: bait.dir,
		Node: os.Getpid(), NodeProcesses: processes.Max, Secret: secretsOf(r, v.targets()), ReadOnly: v.targets(),
		Listener: listener.Addr().String(), Limits: limits,
	}
	// The probe sees its own program too, under a name that makes it the probe.
	armed := v
	own := mount{Source: self, Target: aims.Program}
	spec := Spec{Argv: []string{aims.Program}, Runtime: r, Limits: limits, Scratch: filepath.Join(scratch, "job"), poller: true}
	if tier == Basic {
		own.Target, aims.Program, spec.program = self, self, thisProgram
	}
	armed.mounts = append(slices.Clone(v.mounts), own)
	p, err := startIn(ctx, tier, spec, armed)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	aims.Dirs = p.Dirs()
	text, err := json.Marshal(aims)
	if err != nil {
		return nil, err
	}
	p.Stdin().SetWriteDeadline(time.Now().Add(probeTimeout))
	if _, err := p.Stdin().Write(text); err != nil {
		return nil, fmt.Errorf("sandbox: probe: %w", err)
	}
	p.Stdin().Close()
	results, err := readResults(p, tier)
	if err != nil {
		return results, err
	}
	results = append(results, leftovers(p), bait.judge())
	if len(r.Check) > 0 {
		spec := Spec{Argv: r.Check, Runtime: r, Limits: Limits{Wall: probeTimeout}.orDefault(), Scratch: filepath.Join(scratch, "check")}
		results = append(results, runCheck(ctx, tier, spec, v))
	}
	return results, nil
}

// bait is a file of the node's user that the probe may spoil, if it can.
type bait struct {
	dir  string
	info os.FileInfo
}

func layBait(scratch string) (b bait, err error) {
	b.dir = filepath.Join(scratch, "bait")
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return b, err
	}
	path := filepath.Join(b.dir, "bait")
	if err := os.WriteFile(path, []byte("bait"), 0o600); err != nil {
		return b, err
	}
	unix.Setxattr(path, "user.bait", []byte("bait"), 0) // not every file system can
	b.info, err = os.Stat(path)
	return b, err
}

// judge looks whether the bait is as it was.
func (b bait) judge() Result {
	r := Result{Name: "the bait afterwards", Passed: true, Detail: "as it was"}
	names, _ := filepath.Glob(b.dir + "/*")
	info, err := os.Stat(filepath.Join(b.dir, "bait"))
	if err != nil || len(names) != 1 || info.Size() != b.info.Size() || info.Mode() != b.info.Mode() || info.ModTime() != b.info.ModTime() {
		r.Passed, r.Detail = false, "changed"
	}
	return r
}

// readResults trusts the probe: it is this program, and what it attacks cannot
// write to its output.
func readResults(p *Proc, tier Tier) ([]Result, error) {
	want := 0
	for _, a := range attacks {
		if a.in(tier) {
			want++
		}
	}

	p.Stdout().SetReadDeadline(time.Now().Add(probeTimeout))
	var results []Result
	decoder := json.NewDecoder(io.LimitReader(p.Stdout(), 1<<20))
	for {
		var r Result
		err := decoder.Decode(&r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return results, fmt.Errorf("sandbox: probe: %w", err)
		}
		results = append(results, r)
	}
	if exit := p.Wait(); exit.Err() != nil || len(results) != want {
		return results, fmt.Errorf("sandbox: the probe ended after %d of %d attacks (%v): %.500s", len(results), want, exit.Err(), exit.Stderr)
	}
	return results, nil
}

// leftovers checks from this side that results are only opened as they should.
func leftovers(p *Proc) Result {
	_, err := p.Out().Open("../in")
	_, err2 := p.Out().Open("/etc/hostname")
	return Result{Name: "result outside of out", Passed: err != nil && err2 != nil, Detail: "refused"}
}

// runCheck runs the runtime's own check: a program that the sandbox cannot read
// is found here, not by the first job.
func runCheck(ctx context.Context, tier Tier, spec Spec, v view) Result {
	result := Result{Name: "need: run " + spec.Argv[0]}
	p, err := startIn(ctx, tier, spec, v)
	if err != nil {
		result.Detail = err.Error()
		return result
	}
	defer p.Close()
	p.Stdin().Close()
	exit := p.Wait()
	if err := exit.Err(); err != nil {
		result.Detail = strings.TrimSpace(fmt.Sprintf("%v: %.500s", err, exit.Stderr))
		return result
	}
	result.Passed, result.Detail = true, "allowed"
	return result
}

// secretsOf names what the probe tries to read: the secret folders and the files
// in them. A folder that a runtime lies in is there, bare, for the way to it.
func secretsOf(r Runtime, readable []string) []string {
	open := func(path string) bool {
		return slices.ContainsFunc(readable, func(p string) bool { return below(path, p) })
	}
	folders := slices.Clone(r.Secret)
	if home, err := os.UserHomeDir(); err == nil && !open(home) { // some system users have theirs in /usr
		folders = append(folders, home)
	}
	const most = 100 // of each folder
	var paths []string
	for _, dir := range folders {
		if !slices.ContainsFunc(readable, func(p string) bool { return below(p, dir) }) {
			paths = append(paths, dir)
		}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries[:min(len(entries), most)] {
			if path := filepath.Join(dir, e.Name()); e.Type().IsRegular() && !open(path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}
