// SPDX-License-Identifier: MIT

package job

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Version is the version of every encoded form of this package. A node drops
// and counts what has another.
const Version = 1

// Manifest is the immutable description of a job. Encoded, it is a block, and
// the block's CID is the job's [ID].
type Manifest struct {
	V         uint   `cbor:"0,keyasint"`
	Submitter PeerID `cbor:"1,keyasint"`
	Nonce     Nonce  `cbor:"2,keyasint"` // random: the same scene twice is two jobs
	Name      string `cbor:"3,keyasint"` // for people: the scene's name

	Need       Need    `cbor:"4,keyasint"`
	Spec       []byte  `cbor:"5,keyasint"` // the renderer's own part: resolved config, seeds, entry point
	Assets     CID     `cbor:"6,keyasint"` // the FileSet of inputs
	Width      uint32  `cbor:"7,keyasint"` // pixels
	Height     uint32  `cbor:"8,keyasint"` // pixels
	FPS        float64 `cbor:"9,keyasint"` // frames per second
	Plays      []Play  `cbor:"10,keyasint"`
	CellFrames uint32  `cbor:"11,keyasint,omitempty"` // 0: the grid's own lengths
	Walk       float64 `cbor:"12,keyasint"`           // CPU seconds of the submitter's walk through the whole job, without drawing
	Keys       CID     `cbor:"13,keyasint,omitempty"` // the block with the cells' keys; "": they have none
}

// Need says what a node must have to work on a job.
type Need struct {
	Renderer    string `cbor:"0,keyasint" json:"renderer"`    // "manim"
	Version     string `cbor:"1,keyasint" json:"version"`     // exact version of the renderer
	Fingerprint string `cbor:"2,keyasint" json:"fingerprint"` // the submitter's; see Environment
	SelfTest    string `cbor:"3,keyasint" json:"self_test"`   // the submitter's; see Environment
	Memory      uint64 `cbor:"4,keyasint" json:"memory"`      // bytes per slot, estimated; 0: unknown

	Packages []string `cbor:"5,keyasint,omitempty" json:"packages,omitempty"` // that the job imports beside the renderer's own: "name version"; not known in a Call

	Pictures CID    `cbor:"6,keyasint,omitempty" json:"pictures,omitempty"` // the submitter's; see Environment
	Headers  string `cbor:"7,keyasint,omitempty" json:"headers,omitempty"`  // the submitter's, if the job's output has any; not known in a Call
	Strict   bool   `cbor:"8,keyasint,omitempty" json:"strict,omitempty"`   // only those who draw the same work on it
}

// Environment is one installed renderer of a node.
type Environment struct {
	Renderer    string `cbor:"0,keyasint" json:"renderer"`
	Version     string `cbor:"1,keyasint" json:"version"`
	Fingerprint string `cbor:"2,keyasint" json:"fingerprint"` // hash of everything that can change a pixel or a byte of output
	SelfTest    string `cbor:"3,keyasint" json:"self_test"`   // hash of the frames and bytes of a fixed scene; "": not run yet

	Packages []string `cbor:"4,keyasint,omitempty" json:"packages,omitempty"` // installed beside the renderer's own: "name version"

	// What tells how much another environment differs; "": the self-test has not
	// been run yet.
	Pictures CID    `cbor:"5,keyasint,omitempty" json:"pictures,omitempty"` // the block with the frames of the self-test, for renderer.Compare
	Headers  string `cbor:"6,keyasint,omitempty" json:"headers,omitempty"`  // hash of those of the self-test's film; parts with others do not decode together
}

// Need returns what a job that is planned in this environment needs of others.
func (e Environment) Need() Need {
	return Need{
		Renderer: e.Renderer, Version: e.Version, Fingerprint: e.Fingerprint, SelfTest: e.SelfTest,
		Pictures: e.Pictures, Headers: e.Headers,
	}
}

// Likeness tells what a comparison of two self-tests' pictures has shown: nil if
// they are like enough, else the reason, or ErrCompare. A nil Likeness knows
// nothing.
type Likeness func(a, b CID) error

// ErrCompare is wrapped by Meets when nothing is known yet of how like the
// pictures are.
var ErrCompare = errors.New("its pictures have not been compared with the submitter's yet")

// Meets returns nil when the environment may work on a job with that need, or
// the reason why not.
func (e Environment) Meets(n Need, like Likeness) error {
	differently := func(format string, args ...any) error {
		return fmt.Errorf("%s %s differs from the submitter's: %w", e.Renderer, e.Version, fmt.Errorf(format, args...))
	}
	switch {
	case e.Renderer != n.Renderer || e.Version != n.Version:
		return otherVersions(n, e)
	case e.lacks(n.Packages) != nil:
		return e.lacks(n.Packages)
	case e.Equals(n):
		return nil
	case n.Strict:
		return differently("--strict wants an equal self-test")
	case e.Pictures == "" || n.Pictures == "":
		return differently("no self-test has been run on both yet")
	case n.Headers != "" && e.Headers != n.Headers:
		return differently("its encoder writes other stream headers, so parts of the film would not decode together")
	case e.Pictures == n.Pictures:
		return nil // only the encoder differs
	}
	err := ErrCompare
	if like != nil {
		err = like(e.Pictures, n.Pictures)
	}
	if err != nil {
		return differently("%w", err)
	}
	return nil
}

// Equals reports whether the environment draws and encodes as the submitter's
// does: it is made of the same, or has given the same in the self-test.
func (e Environment) Equals(n Need) bool {
	return e.Fingerprint == n.Fingerprint || e.SelfTest != "" && e.SelfTest == n.SelfTest
}

// lacks returns nil when the environment has all those packages, or which one it
// lacks.
func (e Environment) lacks(packages []string) error {
	for _, p := range packages {
		if slices.Contains(e.Packages, p) {
			continue
		}
		name, version, _ := strings.Cut(p, " ")
		for _, other := range e.Packages {
			if has, found := strings.CutPrefix(other, name+" "); found {
				return fmt.Errorf("package %s %s here, the scene uses %s: install that version for this %s %s", name, has, version, e.Renderer, e.Version)
			}
		}
		return fmt.Errorf("no package %s here, the scene uses %[1]s %s: install it for this %s %s", name, version, e.Renderer, e.Version)
	}
	return nil
}

// otherVersions says that a job needs what none of those environments is.
func otherVersions(n Need, have ...Environment) error {
	var versions []string
	for _, e := range have {
		if e.Renderer == n.Renderer && !slices.Contains(versions, e.Version) {
			versions = append(versions, e.Version)
		}
	}
	if len(versions) == 0 {
		return fmt.Errorf("no %s", n.Renderer)
	}
	return fmt.Errorf("%s %s here, the job needs %s: run \"meshnode setup --%[1]s %[3]s\"", n.Renderer, strings.Join(versions, " and "), n.Version)
}

// Validate checks everything about a manifest that can be checked without its
// assets.
func (m *Manifest) Validate() error {
	switch {
	case m.V != Version:
		return fmt.Errorf("%w %d", ErrVersion, m.V)
	case m.Submitter == "" || len(m.Submitter) > MaxName:
		return invalid("manifest: submitter")
	case m.Name == "" || len(m.Name) > MaxName:
		return invalid("manifest: name")
	case len(m.Spec) > MaxSpec:
		return invalid("manifest: spec of %d bytes", len(m.Spec))
	case m.Width == 0 || m.Height == 0 || m.Width > 1<<15 || m.Height > 1<<15:
		return invalid("manifest: size %d x %d", m.Width, m.Height)
	case !(m.FPS > 0 && m.FPS <= 1000):
		return invalid("manifest: %v frames per second", m.FPS)
	case !(m.Walk >= 0 && m.Walk < math.Inf(1)):
		return invalid("manifest: walk of %v s", m.Walk)
	case len(m.Plays) > MaxPlays:
		return invalid("manifest: %d plays", len(m.Plays))
	case m.CellFrames > MaxFrames:
		return invalid("manifest: cells of %d frames", m.CellFrames)
	}
	if err := m.Need.validate(); err != nil {
		return err
	}
	if _, err := m.Assets.Parse(); err != nil {
		return invalid("manifest: assets: %v", err)
	}
	if _, err := m.Keys.Parse(); m.Keys != "" && err != nil {
		return invalid("manifest: keys: %v", err)
	}
	// Count before cutting: a hostile table must not cost more than its own size.
	moving, frozen := cellLengths(m.FPS, m.CellFrames)
	frames, cells := uint64(0), uint64(0)
	for _, p := range m.Plays {
		length := moving
		if p.Frozen {
			length = frozen
		}
		frames += uint64(p.Frames)
		cells += uint64(cellsOf(p.Frames, length))
	}
	if frames == 0 || frames > MaxFrames {
		return invalid("manifest: %d frames", frames)
	}
	if cells > MaxCells {
		return invalid("manifest: %d cells", cells)
	}
	return nil
}

func (n Need) validate() error {
	for _, s := range []string{n.Renderer, n.Version, n.Fingerprint, n.SelfTest, n.Headers} {
		if len(s) > MaxName {
			return invalid("need: text of %d bytes", len(s))
		}
	}
	if err := checkPictures(n.Pictures); err != nil {
		return err
	}
	if err := checkPackages(n.Packages); err != nil {
		return err
	}
	if n.Renderer == "" {
		return invalid("need: no renderer")
	}
	return nil
}

func checkPictures(c CID) error {
	if c == "" {
		return nil
	}
	if _, err := c.Parse(); err != nil {
		return invalid("pictures: %v", err)
	}
	return nil
}

// checkPackages checks counts and lengths.
func checkPackages(packages []string) error {
	if len(packages) > MaxPackages {
		return invalid("%d packages", len(packages))
	}
	for _, p := range packages {
		if len(p) > MaxName {
			return invalid("package of %d bytes", len(p))
		}
	}
	return nil
}

// Grid returns the job's cells.
func (m *Manifest) Grid() []Cell { return Grid(m.Plays, m.FPS, m.CellFrames) }

// Frames returns the number of frames of the job.
func (m *Manifest) Frames() uint32 {
	n := uint32(0)
	for _, p := range m.Plays {
		n += p.Frames
	}
	return n
}

// Block returns the encoded manifest and the job's id.
func (m *Manifest) Block() ([]byte, ID, error) {
	if err := m.Validate(); err != nil {
		return nil, "", err
	}
	b, err := encode(m, MaxManifest)
	if err != nil {
		return nil, "", err
	}
	return b, ID(CIDOf(b)), nil
}

// DecodeManifest decodes and validates a manifest's block.
func DecodeManifest(block []byte) (*Manifest, error) {
	m := new(Manifest)
	if err := decode(decBlock, block, m, MaxManifest); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}
