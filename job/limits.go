// SPDX-License-Identifier: MIT

package job

import "strings"

// Limits on what other nodes may send. They bound memory, not usefulness: a
// four-hour film at 60 fps has 864,000 frames and about 14,400 cells.
const (
	MaxMessage  = 64 << 10 // bytes of a gossiped or streamed message, its envelope included
	MaxState    = 1 << 20  // bytes of a State, the one message that may be larger
	MaxManifest = 1 << 20  // bytes of an encoded Manifest
	MaxFileSet  = 1 << 20  // bytes of an encoded FileSet

	MaxPlays   = 50_000     // plays of a job
	MaxFrames  = 10_000_000 // frames of a job
	MaxCells   = 100_000    // cells of a job
	MaxRoster  = 256        // peers listed in an Offer
	MaxRanges  = 1_024      // ranges in one message
	MaxHeld    = 64         // claims repeated in one Progress
	MaxKnown   = 512        // jobs listed in one Pull
	MaxName    = 256        // bytes of a name: a scene, a node, a renderer
	MaxText    = 4_096      // bytes of a reason
	maxDone    = 1_024      // bytes of a Done in another; they have some 300
	MaxSpec    = 512 << 10  // bytes of a Manifest's renderer-specific part
	MaxPath    = 1_024      // bytes of a path in a FileSet
	MaxFiles   = 10_000     // files of a FileSet
	MaxSetSize = 16 << 30   // bytes of all files of a FileSet
	MaxBlock   = 1 << 20    // bytes of a block: files are cut every MaxBlock bytes

	MaxLeft     = 4 * MaxCells // cells left in one Progress, of all its claims
	MaxPackages = 256          // packages of an environment, or of a need
)

// Clip cuts a text for people to MaxText bytes, between two letters.
func Clip(text string) string {
	if len(text) <= MaxText {
		return text
	}
	return strings.ToValidUTF8(text[:MaxText], "")
}
