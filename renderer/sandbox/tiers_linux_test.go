// SPDX-License-Identifier: MIT

package sandbox

import (
	"context"
	"os/exec"
	"slices"

	"golang.org/x/sys/unix"
)

var (
	testTiers  = append(slices.Clone(boxedTiers), Direct)
	boxedTiers = boxesHere()
)

// boxesHere leaves out what this machine does not have; the tests of the others
// must pass.
func boxesHere() []Tier {
	if raceDetector {
		return nil
	}
	var tiers []Tier
	if err := exec.Command("unshare", "--user", "true").Run(); err == nil {
		tiers = append(tiers, Own)
	}
	if err := exec.Command("bwrap", "--ro-bind", "/", "/", "true").Run(); err == nil {
		tiers = append(tiers, Bwrap)
	}
	if version, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno == 0 && version >= basicLandlock {
		tiers = append(tiers, Basic)
	}
	return tiers
}

// startTestBox shows the test program inside as /job; in Basic it is its own.
func startTestBox(ctx context.Context, tier Tier, spec Spec, self string) (*Proc, error) {
	v, err := viewOf(spec.Runtime)
	if err != nil {
		return nil, err
	}
	own := mount{Source: self, Target: "/job"}
	spec.Argv[0], spec.poller = own.Target, true
	if tier == Basic {
		own.Target, spec.Argv[0] = self, thisProgram
	}
	v.mounts = append(v.mounts, own)
	return startIn(ctx, tier, spec, v)
}
