// SPDX-License-Identifier: MIT

package job

import (
	"bytes"
	"testing"
)

// fuzzBody fuzzes the body of one kind of message, which FuzzOpen gets to behind
// its envelope only: what is taken can be sealed, and comes back the same.
func fuzzBody(f *testing.F, kind Kind) {
	for _, m := range samples(f) {
		if m.Kind() != kind {
			continue
		}
		body, err := encode(m, limitOf(kind))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m := newMessage(kind)
		if decode(decMessage, body, m, limitOf(kind)) != nil || m.validate() != nil {
			return
		}
		signed, err := Seal(testKey("a"), m)
		if err != nil {
			t.Fatalf("%+v is valid but cannot be sealed: %v", m, err)
		}
		back, err := Open(testKey(""), signed.Raw)
		if _, claim := m.(*Claim); claim && err != nil {
			return // the grant inside is not checked by validate
		}
		if err != nil {
			t.Fatalf("%+v cannot be opened again: %v", m, err)
		}
		// By their bytes, as an empty list is not written and comes back as none.
		sent, err := encode(m, limitOf(kind))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := encode(back.Msg, limitOf(kind)); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%+v came back as %+v: %v", m, back.Msg, err)
		}
		if state, ok := m.(*State); ok {
			for _, fact := range state.Facts {
				_, _ = Open(anyKey{}, fact)
			}
		}
	})
}

func FuzzOffer(f *testing.F)     { fuzzBody(f, KindOffer) }
func FuzzClaim(f *testing.F)     { fuzzBody(f, KindClaim) }
func FuzzProgress(f *testing.F)  { fuzzBody(f, KindProgress) }
func FuzzCollected(f *testing.F) { fuzzBody(f, KindCollected) }
func FuzzPull(f *testing.F)      { fuzzBody(f, KindPull) }
func FuzzState(f *testing.F)     { fuzzBody(f, KindState) }

// FuzzPath: a path that is taken is harmless on every system.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a/b.txt", "../a", "/a", "a//b", "con", "a/nul.txt", "C:/a", "a\\b", "a/..", "COM1", "a. ", "é", "e\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if CheckPath(path) != nil {
			return
		}
		set := FileSet{V: Version, Files: []File{{Path: path}}}
		if err := set.Validate(); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	})
}
