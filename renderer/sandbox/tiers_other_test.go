// SPDX-License-Identifier: MIT

//go:build !linux

package sandbox

import "context"

var testTiers = []Tier{Direct}

func startTestBox(ctx context.Context, tier Tier, spec Spec, _ string) (*Proc, error) {
	return Start(ctx, tier, spec)
}
