// SPDX-License-Identifier: MIT

//go:build !linux

package sandbox

import (
	"context"
	"fmt"
	"runtime"
)

// MaybeInit does nothing: there are no helpers on this system.
func MaybeInit() {}

func startBoxed(_ context.Context, tier Tier, _ Spec) (*Proc, error) {
	return nil, fmt.Errorf("sandbox: job not started in tier %s: not on %s: %w", tier, runtime.GOOS, ErrNone)
}

func attack(_ context.Context, _ Tier, _ Runtime, _ string) ([]Result, error) {
	return nil, fmt.Errorf("sandbox: there is none for %s yet: this node renders its owner's jobs only", runtime.GOOS)
}
