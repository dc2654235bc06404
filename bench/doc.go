// SPDX-License-Identifier: MIT

// Command bench measures meshnode against stock Manim on this machine and
// prints the results as Markdown, for docs/benchmarks.md:
//
//	MESHNODE_PYTHON=/path/to/python go run ./bench [-runs 3] [-only one,mesh,latency,join,quality,memory,long]
//
// What is compared is measured by turns in the same run, and medians are
// printed: machines have other things to do. It needs Linux; what else a part
// needs and does not find, it names, and is left out.
package main
