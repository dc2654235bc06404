// SPDX-License-Identifier: MIT

package job

import "math"

// Advert is what a node says of itself to every peer it connects to, and again
// when it changes.
type Advert struct {
	V            uint          `cbor:"0,keyasint" json:"-"`
	Name         string        `cbor:"1,keyasint" json:"name"`    // host name, or --name
	Version      string        `cbor:"2,keyasint" json:"version"` // of meshnode
	OS           string        `cbor:"3,keyasint" json:"os"`      // GOOS/GOARCH
	Cores        uint32        `cbor:"4,keyasint" json:"cores"`
	Memory       uint64        `cbor:"5,keyasint" json:"memory"`  // bytes in all
	Disk         uint64        `cbor:"6,keyasint" json:"disk"`    // bytes free under the node's home
	Slots        uint32        `cbor:"7,keyasint" json:"slots"`   // cells it renders at a time; 0: none
	Speed        float64       `cbor:"8,keyasint" json:"speed"`   // of one slot: self-test frames per second; 0: not measured yet
	Sandbox      string        `cbor:"9,keyasint" json:"sandbox"` // tier that holds for other peers' jobs; "none" with the reason in Lacks
	Environments []Environment `cbor:"10,keyasint" json:"renderers"`
	Paused       bool          `cbor:"11,keyasint" json:"paused"`
	Lacks        string        `cbor:"12,keyasint" json:"lacks,omitempty"`          // why it does not render for others, if it does not
	Sick         string        `cbor:"13,keyasint,omitempty" json:"sick,omitempty"` // why it has stopped to: it fails what others render
}

// Environment returns the node's environment for jobs with that need: the
// submitter's own if it is there, else one that draws the same, else one that is
// like it. With none it says why.
func (a *Advert) Environment(n Need, like Likeness) (Environment, error) {
	var found *Environment
	var err error
	rank := func(e *Environment) int {
		switch {
		case e.Fingerprint == n.Fingerprint:
			return 2
		case e.Equals(n):
			return 1
		}
		return 0
	}
	for i := range a.Environments {
		e := &a.Environments[i]
		if e.Renderer != n.Renderer || e.Version != n.Version {
			continue
		}
		if why := e.Meets(n, like); why != nil {
			err = why
		} else if found == nil || rank(e) > rank(found) {
			found = e
		}
	}
	switch {
	case found != nil:
		return *found, nil
	case err == nil:
		err = otherVersions(n, a.Environments...)
	}
	return Environment{}, err
}

// Validate checks lengths and counts.
func (a *Advert) Validate() error {
	if a.V != Version {
		return invalid("advert: version %d", a.V)
	}
	for _, s := range []string{a.Name, a.Version, a.OS, a.Sandbox} {
		if len(s) > MaxName {
			return invalid("advert: text of %d bytes", len(s))
		}
	}
	if len(a.Lacks) > MaxText || len(a.Sick) > MaxText || len(a.Environments) > 64 {
		return invalid("advert: %d environments", len(a.Environments))
	}
	for _, e := range a.Environments {
		for _, s := range []string{e.Renderer, e.Version, e.Fingerprint, e.SelfTest, e.Headers} {
			if len(s) > MaxName {
				return invalid("advert: environment")
			}
		}
		if err := checkPictures(e.Pictures); err != nil {
			return err
		}
		if err := checkPackages(e.Packages); err != nil {
			return err
		}
	}
	if math.IsNaN(a.Speed) {
		return invalid("advert: speed")
	}
	return checkSpeed(a.Slots, a.Speed, 0)
}

// Encode returns the wire form, at most MaxMessage bytes.
func (a *Advert) Encode() ([]byte, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return encode(a, MaxMessage)
}

// DecodeAdvert decodes and validates the wire form.
func DecodeAdvert(b []byte) (*Advert, error) {
	a := new(Advert)
	if err := decode(decMessage, b, a, MaxMessage); err != nil {
		return nil, err
	}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return a, nil
}
