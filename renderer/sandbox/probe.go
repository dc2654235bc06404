// SPDX-License-Identifier: MIT

package sandbox

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Report says which tier holds on this machine, and why others do not.
type Report struct {
	Tier   Tier   // the first that holds: Own, Bwrap, Basic or None
	Reason string // one line for people; with None what to do
	Tried  []Trial
}

// Trial is what was found of one tier.
type Trial struct {
	Tier   Tier
	Holds  bool
	Reason string   // why it does not hold
	Probes []Result // of the attacks, in their order; empty if none could start
	Took   time.Duration
}

// Result is the outcome of one attack, or of one thing that a job needs.
type Result struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"` // denied, or allowed if it is a need
	Detail string `json:"detail"` // the error that stopped it, or what it got
}

// probeTimeout bounds the probes of one tier. They take about 0.1 s.
const probeTimeout = 20 * time.Second

// Probe attacks each tier from inside until one holds, and starts the runtime's
// interpreter in it, if there is one. It changes nothing outside the sandbox but
// what it makes in scratch, a folder of the node for temporary ones ("": that of
// the system), and attacks nothing from outside one.
func Probe(ctx context.Context, r Runtime, scratch string) Report {
	var report Report
	for _, tier := range []Tier{Own, Bwrap, Basic} {
		trial := ProbeTier(ctx, tier, r, scratch)
		report.Tried = append(report.Tried, trial)
		if trial.Holds {
			report.Tier, report.Reason = tier, fmt.Sprintf("%s: %d probes held", tier, len(trial.Probes))
			return report
		}
	}
	var reasons []string
	for _, t := range report.Tried {
		reasons = append(reasons, fmt.Sprintf("%s: %s", t.Tier, strings.TrimPrefix(t.Reason, "sandbox: ")))
	}
	report.Tier, report.Reason = None, strings.Join(reasons, "; ")
	return report
}

// ProbeTier attacks one tier.
func ProbeTier(ctx context.Context, tier Tier, r Runtime, scratch string) Trial {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	trial := Trial{Tier: tier}
	var err error
	trial.Probes, err = attack(ctx, tier, r, scratch)
	trial.Took = time.Since(begin)
	if err == nil {
		err = judge(trial.Probes)
	}
	if err != nil {
		trial.Reason = err.Error()
		return trial
	}
	trial.Holds = true
	return trial
}

// judge demands that nothing failed.
func judge(results []Result) error {
	var failed []string
	for _, r := range results {
		if !r.Passed {
			failed = append(failed, fmt.Sprintf("%s (%s)", r.Name, r.Detail))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("sandbox: %d of %d probes failed: %s", len(failed), len(results), strings.Join(failed, ", "))
	}
	return nil
}
