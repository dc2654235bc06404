// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"strconv"
	"testing"
	"time"
)

// until waits until the jobs of a budget use that much.
func (b *Budget) until(t *testing.T, bytes int64) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(watchInterval / 4) {
		b.mu.Lock()
		total := int64(0)
		for _, s := range b.jobs {
			total += s.bytes
		}
		b.mu.Unlock()
		if total >= bytes {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are used, not %d", total, bytes)
		}
	}
}

// Of jobs that together use more than they may, each less than it may, the largest is
// ended, and the others go on.
func TestBudget(t *testing.T) {
	const mib = 1 << 20
	forTiers(t, func(t *testing.T, tier Tier) {
		if tier == Direct {
			return
		}
		t.Parallel()
		limits := Limits{Shared: NewBudget(200 * mib)}
		hold := func(bytes int) *Proc { return startJob(t, t.Context(), tier, limits, "hold", strconv.Itoa(bytes), "1") }
		small := hold(60 * mib)
		limits.Shared.until(t, 60*mib)
		large := hold(170 * mib)
		if err := large.Wait().Err(); !errors.Is(err, ErrMemory) {
			t.Errorf("the large one ended as %v: %s", err, large.Stderr())
		}
		if err := small.Kill().Err(); err != nil && !errors.Is(err, ErrKilled) {
			t.Errorf("the small one ended as %v", err)
		}
		if tier == Basic {
			return
		}
		// What lies in folders counts, until it is freed.
		limits.Shared = NewBudget(150 * mib)
		full := startJob(t, t.Context(), tier, limits, "write", "1", "100")
		limits.Shared.until(t, 100*mib)
		full.Kill()
		if err := hold(90 * mib).Wait().Err(); !errors.Is(err, ErrMemory) {
			t.Errorf("one more ended as %v", err)
		}
		full.Close()
		last := hold(90 * mib)
		limits.Shared.until(t, 90*mib)
		if err := last.Kill().Err(); err != nil && !errors.Is(err, ErrKilled) {
			t.Errorf("with room again one ended as %v", err)
		}
	})
}
