// SPDX-License-Identifier: MIT

//go:build !darwin

package sandbox

import (
	"context"
	"fmt"
	"runtime"
)

func startSeatbelt(context.Context, Spec) (*Proc, error) {
	return nil, fmt.Errorf("sandbox: job not started in tier %s: not on %s: %w", Seatbelt, runtime.GOOS, ErrNone)
}
