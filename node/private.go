// SPDX-License-Identifier: MIT

package node

import (
	"errors"
	"strings"
)

// privateRecords are those of a node in a private mesh: what peers may do, and what was
// found out about them, is the home's in each mesh; all else is of the mesh alone.
type privateRecords struct{ common, apart Records }

// shared reports whether a record, or all with that prefix, are of the home.
func shared(key string) bool {
	return strings.HasPrefix(key, "role/") || strings.HasPrefix(key, "evidence/")
}

func (p *privateRecords) of(key string) Records {
	if shared(key) {
		return p.common
	}
	return p.apart
}

// Write implements Records: the changes are of one of the two.
func (p *privateRecords) Write(changes ...Record) error {
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes[1:] {
		if shared(c.Key) != shared(changes[0].Key) {
			return errors.New("node: records of the home and of a mesh cannot be written at once")
		}
	}
	return p.of(changes[0].Key).Write(changes...)
}

// Read implements Records.
func (p *privateRecords) Read(prefix string) (map[string][]byte, error) {
	return p.of(prefix).Read(prefix)
}

// Close implements Records.
func (p *privateRecords) Close() error { return errors.Join(p.apart.Close(), p.common.Close()) }
