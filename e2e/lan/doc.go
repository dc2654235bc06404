// SPDX-License-Identifier: MIT

// Package lan makes several "computers" on one Linux machine, for tests and
// benchmarks that run real nodes against each other. A computer is a network
// namespace with an address of its own and multicast; a bridge in one more
// namespace is the switch that their cables end in. No computer sees the
// machine's own network, so mDNS stays inside.
//
// [Enter] is called once, first thing. Everything a program makes after it, and
// every process it starts, lies in namespaces of its own, which the kernel
// removes with the program, however that ends.
package lan
