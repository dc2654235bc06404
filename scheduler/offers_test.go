// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"testing"
	"time"

	"meshnode/job"
)

// TestMisleader: nobody goes on fetching the manifests of a peer that offers what is no
// job of its own.
func TestMisleader(t *testing.T) {
	for name, manifest := range map[string]*job.Manifest{
		"another's job": testManifest("honest", 4, 60, 0),
		"another nonce": testManifest("evil", 4, 60, 0),
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Config{Self: "self"})
			fetched := 0
			offer := func(by job.PeerID, at time.Duration, what string) {
				o := &job.Offer{Job: job.ID(job.CIDOf([]byte(what))), Nonce: job.Nonce{1}}
				for _, f := range only[FetchManifest](s.Step(at, Received{job.Signed{From: by, Msg: o}})) {
					fetched++
					s.Step(at, ManifestFetched{Job: f.Job, Manifest: manifest})
				}
			}
			for i := range 100 {
				offer("evil", time.Duration(i)*time.Second, fmt.Sprint(i))
			}
			if fetched != 1 {
				t.Errorf("%d manifests are fetched", fetched)
			}
			if offer("another", 100*time.Second, "more"); fetched != 2 {
				t.Error("another peer is not asked for its manifest")
			}
			if offer("evil", 2*time.Hour, "later"); fetched != 3 {
				t.Error("it is never heard again")
			}
			for i := range 2 * maxMisleaders {
				offer(job.PeerID(fmt.Sprint("evil", i)), 3*time.Hour, fmt.Sprint("of ", i))
			}
			if n := len(s.misleaders); n > maxMisleaders {
				t.Errorf("%d are remembered", n)
			}
		})
	}
}
