// SPDX-License-Identifier: MIT

package sandbox

import (
	"context"
	"os/exec"
	"slices"
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
	return tiers
}

// startTestBox shows the test program inside as /job.
func startTestBox(ctx context.Context, tier Tier, spec Spec, self string) (*Proc, error) {
	v, err := viewOf(spec.Runtime)
	if err != nil {
		return nil, err
	}
	v.mounts = append(v.mounts, mount{Source: self, Target: "/job"})
	spec.Argv[0] = "/job"
	return startIn(ctx, tier, spec, v)
}
