// SPDX-License-Identifier: MIT

package job

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestKeys(t *testing.T) {
	keys := []Key{{1}, {}, {2, 3}}
	block := EncodeKeys(keys)
	if got, err := DecodeKeys(block, 3); err != nil || !slices.Equal(got, keys) {
		t.Errorf("decoded are %v (%v)", got, err)
	}
	if block := EncodeKeys(nil); block != nil {
		t.Errorf("no keys are %d bytes", len(block))
	}
	if block := EncodeKeys(make([]Key, MaxKeys+1)); len(block) != MaxBlock {
		t.Errorf("very many keys are %d bytes", len(block))
	}
	for name, bad := range map[string][]byte{"none": nil, "half a key": block[:48], "more than cells": EncodeKeys(make([]Key, 4))} {
		if _, err := DecodeKeys(bad, 3); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	k := Key{0xab, 31: 0xcd}
	if got, err := ParseKey(k.String()); err != nil || got != k {
		t.Errorf("%s is read as %s (%v)", k, got, err)
	}
	for _, text := range []string{"", "ab", k.String() + "00", k.String()[:63] + "x"} {
		if _, err := ParseKey(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add(EncodeKeys([]Key{{1}, {2}}), 2)
	f.Add([]byte("short"), 1)
	f.Fuzz(func(t *testing.T, block []byte, cells int) {
		keys, err := DecodeKeys(block, max(0, cells))
		if err == nil && (len(keys) > cells || !bytes.Equal(EncodeKeys(keys), block)) {
			t.Errorf("%d keys of %d cells are not the %d bytes that they were", len(keys), cells, len(block))
		}
	})
}
