// SPDX-License-Identifier: MIT

package sandbox

import (
	"testing"
	"time"
)

// BenchmarkStart tells what a tier takes before the job's own program begins,
// and until nothing of it is left. min-ms is the least of all rounds: the
// machine's other work does not count.
func BenchmarkStart(b *testing.B) {
	for _, tier := range testTiers {
		b.Run(string(tier), func(b *testing.B) {
			least := time.Hour
			for b.Loop() {
				begin := time.Now()
				p, err := Start(b.Context(), tier, Spec{Argv: []string{"/usr/bin/true"}, Scratch: scratch(b)})
				if err != nil {
					b.Fatal(err)
				}
				if exit := p.Wait(); exit.Err() != nil {
					b.Fatal(exit.Err())
				}
				p.Close()
				least = min(least, time.Since(begin))
			}
			b.ReportMetric(float64(least.Microseconds())/1000, "min-ms")
		})
	}
}
