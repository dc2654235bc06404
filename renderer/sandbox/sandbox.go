// SPDX-License-Identifier: MIT

// Package sandbox runs a program that may be hostile: other peers' scenes.
//
// A job in a sandbox sees a read-only runtime and three folders of its own
// (in, out, tmp), has no network, no other process to look at, an empty
// environment and hard limits, and dies with the node. Its door is a tier: Own
// makes namespaces itself, Bwrap asks bubblewrap for them; both end in the same
// place, with Landlock and a seccomp allow-list below. Basic is these two alone,
// where there are no namespaces to be had. Which tier holds is not detected but
// proved: [Probe] attacks each one from inside.
//
// [Direct] runs the owner's own jobs behind the same [Proc], with no sandbox.
//
// The package starts itself again to prepare the inside of a sandbox, so every
// program and test that uses it calls [MaybeInit] first in main or TestMain.
// docs/sandbox.md says what each layer defends and what was measured.
package sandbox

import (
	"context"
	"errors"
	"fmt"
)

// Tier is a way to run a job. The names go over the wire in adverts.
type Tier string

// The tiers. None is what a node has when no sandbox holds; nothing can be
// started in it. Direct is no sandbox, for the owner's own jobs only; Probe
// never answers it, so it cannot be reached by mistake.
const (
	None   Tier = "none"
	Own    Tier = "own"
	Bwrap  Tier = "bwrap"
	Basic  Tier = "basic"
	Direct Tier = "direct"

	// Seatbelt is that of macOS. Nobody has tried it yet and it bounds no memory, so
	// Probe never answers it either.
	Seatbelt Tier = "seatbelt"
)

// ErrNone says that no job of another peer may run here.
var ErrNone = errors.New("sandbox: no tier holds on this machine")

// Why this side ended a job, in [Exit.Killed].
var (
	ErrKilled    = errors.New("sandbox: ended by the node")
	ErrMemory    = errors.New("sandbox: job used too much memory")
	ErrProcesses = errors.New("sandbox: job started too many processes")
	ErrPipes     = errors.New("sandbox: job opened too many pipes")
	ErrSent      = errors.New("sandbox: job sent itself too many descriptors that it did not take")
	ErrCPU       = errors.New("sandbox: job used too much processor time")
	ErrTime      = errors.New("sandbox: job ran too long")
	ErrStderr    = errors.New("sandbox: job printed too much")
	ErrFiles     = errors.New("sandbox: job made too many files, or too deep folders")
	ErrBytes     = errors.New("sandbox: job wrote too much")
	ErrCount     = errors.New("sandbox: job's folders could not be counted: too large, or changed too fast")
	ErrDisk      = errors.New("sandbox: the disk is nearly full")
)

// Dirs are the folders of a job as the job itself sees them.
type Dirs struct {
	In  string // what the job is given; it may write here too
	Out string // what it hands back
	Tmp string // its HOME and TMPDIR
}

// Start runs a job in a tier that Probe has found to hold, or in Direct. The
// end of ctx kills the job at any time. The caller must Close the Proc.
func Start(ctx context.Context, tier Tier, spec Spec) (*Proc, error) {
	spec.Limits = spec.Limits.orDefault()
	if err := spec.check(tier); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("sandbox: job not started: %w", context.Cause(ctx))
	}
	switch tier {
	case Direct:
		return startDirect(ctx, spec)
	case Own, Bwrap, Basic:
		return startBoxed(ctx, tier, spec)
	case Seatbelt:
		return startSeatbelt(ctx, spec)
	}
	return nil, fmt.Errorf("sandbox: job not started in tier %q: %w", tier, ErrNone)
}
