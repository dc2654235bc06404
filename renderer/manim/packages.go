// SPDX-License-Identifier: MIT

package manim

import (
	"maps"
	"slices"

	"meshnode/job"
	"meshnode/renderer/manim/environment"
)

// maxPackageBytes bounds what an advert says of an environment's packages: an
// advert has several environments, and job.MaxMessage bytes. A node on which
// more is installed is not asked to render what needs the last ones.
const maxPackageBytes = 8 << 10

// packagesOf returns what is installed in an environment beside Manim.
func packagesOf(env environment.Environment) []string {
	var out []string
	bytes := 0
	for _, name := range slices.Sorted(maps.Keys(env.Packages)) {
		p := packageName(name, env.Packages[name])
		if bytes += len(p); len(out) == job.MaxPackages || bytes > maxPackageBytes {
			break
		}
		out = append(out, p)
	}
	return out
}

// packageName is how a package is named in adverts and needs.
func packageName(name, version string) string { return name + " " + version }
