// SPDX-License-Identifier: MIT

package p2p

import (
	"strings"
	"testing"
)

func FuzzParsePeers(f *testing.F) {
	const id = "12D3KooWGzBk3Fhf7Pk4wGyMhnGn9ghRa5bWxSpwKuGyUXMxXnn7"
	f.Add("")
	f.Add("\n\n")
	f.Add("/ip4/10.0.0.1/tcp/1/p2p/" + id)
	f.Add("/ip4/10.0.0.1/tcp/1/p2p/" + id + "\n/ip6/fd00::1/tcp/1/p2p/" + id + "\nnonsense")
	f.Add(strings.Repeat("/ip4/10.0.0.1/tcp/1\n", 2000))
	f.Fuzz(func(t *testing.T, answer string) {
		infos := parsePeers(answer)
		if len(infos) > maxExchanged {
			t.Errorf("%d peers", len(infos))
		}
		for _, info := range infos {
			if info.ID == "" {
				t.Error("a peer without an id")
			}
		}
	})
}
