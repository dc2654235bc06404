// SPDX-License-Identifier: MIT

// Package node puts the rooms together: it carries out the scheduler's actions
// on the network, the store and the renderers, turns what they answer into
// events, and owns the home folder, its lock, processes and durable state. It
// has no policy of its own.
package node
