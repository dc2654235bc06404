// SPDX-License-Identifier: MIT

//go:build !linux

package sandbox

import (
	"context"
	"path/filepath"
	"runtime"
)

var testTiers = tiersHere()

func tiersHere() []Tier {
	if runtime.GOOS == "darwin" {
		return []Tier{Direct, Seatbelt}
	}
	return []Tier{Direct}
}

func startTestBox(ctx context.Context, tier Tier, spec Spec, self string) (*Proc, error) {
	spec.Runtime.ReadOnly = append(spec.Runtime.ReadOnly, filepath.Dir(self))
	return Start(ctx, tier, spec)
}
