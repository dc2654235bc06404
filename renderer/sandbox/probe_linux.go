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
)

// targets is what the attacks aim at. It is sent to the probe over its stdin.
type targets struct {
	Node     int      // process id of the node
	Secret   []string // folders that must not be there
	ReadOnly []string // folders and files that must not be writable
	Listener string   // address of a TCP listener of the node
	Limits   Limits
}

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

// attack runs all attacks in a tier and returns their results.
func attack(ctx context.Context, tier Tier, r Runtime) ([]Result, error) {
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

	limits := probeLimits().orDefault()
	aims := targets{
		Node: os.Getpid(), Secret: secretsOf(r, v.targets()), ReadOnly: v.targets(),
		Listener: listener.Addr().String(), Limits: limits,
	}
	// The probe sees its own program too, under a name that makes it the probe.
	armed := v
	armed.mounts = append(slices.Clone(v.mounts), mount{Source: self, Target: "/" + probeStage})
	spec := Spec{Argv: []string{"/" + probeStage}, Runtime: r, Limits: limits}
	p, err := startIn(ctx, tier, spec, armed)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	text, err := json.Marshal(aims)
	if err != nil {
		return nil, err
	}
	p.Stdin().SetWriteDeadline(time.Now().Add(probeTimeout))
	if _, err := p.Stdin().Write(text); err != nil {
		return nil, fmt.Errorf("sandbox: probe: %w", err)
	}
	p.Stdin().Close()
	results, err := readResults(p)
	if err != nil {
		return results, err
	}
	results = append(results, leftovers(p)...)
	if len(r.Check) > 0 {
		results = append(results, runCheck(ctx, tier, r, v))
	}
	return results, nil
}

// readResults trusts the probe: it is this program, and what it attacks cannot
// write to its output.
func readResults(p *Proc) ([]Result, error) {
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
	if exit := p.Wait(); exit.Err() != nil || len(results) != len(attacks) {
		return results, fmt.Errorf("sandbox: the probe ended after %d of %d attacks (%v): %.500s", len(results), len(attacks), exit.Err(), exit.Stderr)
	}
	return results, nil
}

// leftovers checks from this side that results are only opened as they should.
func leftovers(p *Proc) []Result {
	_, err := p.Out().Open("../in")
	_, err2 := p.Out().Open("/etc/hostname")
	return []Result{{Name: "result outside of out", Passed: err != nil && err2 != nil, Detail: "refused"}}
}

// runCheck runs the runtime's own check: a program that the sandbox cannot read
// is found here, not by the first job.
func runCheck(ctx context.Context, tier Tier, r Runtime, v view) Result {
	result := Result{Name: "need: run " + r.Check[0]}
	spec := Spec{Argv: r.Check, Runtime: r, Limits: Limits{Wall: probeTimeout}.orDefault()}
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
