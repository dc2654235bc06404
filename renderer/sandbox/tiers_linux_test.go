// SPDX-License-Identifier: MIT

package sandbox

import "context"

var testTiers = []Tier{Own, Bwrap, Direct}

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
