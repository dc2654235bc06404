// SPDX-License-Identifier: MIT

// Package p2p is how nodes find and reach each other: discovery by mDNS, gossip,
// requests, identity. Its [Network] interface has two implementations: [Host]
// over libp2p, and [Memory] within one process, over a network that [Faults]
// spoils. Package p2ptest checks both. docs/network.md has the protocols, the
// limits and the timers.
package p2p
