// SPDX-License-Identifier: MIT

package job

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// ErrVersion is wrapped by the error for a well-formed thing of another
// version.
var ErrVersion = errors.New("job: unknown version")

// ErrInvalid is wrapped by the error for anything that breaks a rule of this
// package.
var ErrInvalid = errors.New("job: invalid")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// One encoding: RFC 8949 core deterministic CBOR, maps keyed by small integers.
// Equal values have equal bytes, so a CID or a signature over them is stable.
//
// An empty element of a list takes one byte and becomes up to a hundred: so lists
// have a limit in number as well, of what is large enough for a message, or for a
// block.
var (
	encMode    = must(cbor.CoreDetEncOptions().EncMode())
	decMessage = decMode(maxFacts)
	decBlock   = decMode(MaxPlays)
)

// maxFacts is more than fit into a State: none has less than 128 bytes.
const maxFacts = MaxState / 128

func decMode(elements int) cbor.DecMode {
	return must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   8,
		MaxArrayElements:  elements,
		MaxMapPairs:       64,
	}.DecMode())
}

func must[T any](v T, err error) T {
	if err != nil { // options are constants: a mistake here is found by the first test
		panic(err)
	}
	return v
}

func encode(v any, limit int) ([]byte, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("job: encode: %w", err)
	}
	if len(b) > limit {
		return nil, invalid("%d bytes encoded, at most %d allowed", len(b), limit)
	}
	return b, nil
}

// decode fills v from b. Unknown fields, tags, indefinite lengths and duplicate
// keys are errors.
func decode(mode cbor.DecMode, b []byte, v any, limit int) error {
	if len(b) > limit {
		return invalid("%d bytes, at most %d allowed", len(b), limit)
	}
	if err := mode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return nil
}
