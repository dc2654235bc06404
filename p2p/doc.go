// SPDX-License-Identifier: MIT

// Package p2p is how nodes find and reach each other: discovery by mDNS, gossip,
// requests, identity. Its [Network] interface has two implementations.
package p2p
