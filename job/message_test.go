// SPDX-License-Identifier: MIT

package job

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// testKey signs by a hash of the author's name.
type testKey string

func (k testKey) Self() PeerID { return PeerID(k) }

func (k testKey) Sign(data []byte) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(k+"\x00"), data...))
	return sum[:], nil
}

func (k testKey) Verify(by PeerID, data, sig []byte) error {
	if want, _ := testKey(by).Sign(data); !bytes.Equal(want, sig) {
		return errors.New("bad signature")
	}
	return nil
}

var testID = ID(CIDOf([]byte("a job")))

func testNeed() Need {
	return Need{
		Renderer: "manim", Version: "0.22.0", Fingerprint: "f", SelfTest: "s", Memory: 1 << 30, Packages: []string{"manim-slides 5.7.0"},
		Pictures: CIDOf([]byte("pictures")), Headers: "h", Strict: true,
	}
}

// samples has every message, with every field set.
func samples(t testing.TB) []Message {
	nonce := Nonce{1, 2, 3}
	grant := &Grant{Job: testID, To: "b", Range: Range{4, 8}, Gen: 1, Hint: "c"}
	signed, err := Seal(testKey("a"), grant)
	if err != nil {
		t.Fatal(err)
	}
	done := Done{Job: testID, Cell: 5, Output: CIDOf([]byte("files")), Size: 123456, Gen: 3}
	of, err := Seal(testKey("b"), &done)
	if err != nil {
		t.Fatal(err)
	}
	done.Of = of.Raw
	return []Message{
		&Call{Nonce: nonce, Need: testNeed()},
		&Ready{Nonce: nonce, Slots: 2, Speed: 31.5, Queue: 12.25, Sandbox: "full"},
		&Offer{Job: testID, Nonce: nonce, Roster: []Member{{Peer: "a", Slots: 2, Speed: 30, Queue: 0.5}, {Peer: "b"}}},
		&Claim{Job: testID, Range: Range{4, 8}, Gen: 1, Grant: signed.Raw},
		&Progress{Idle: 1, Held: []Held{{Job: testID, Range: Range{4, 8}, Gen: 1, Left: Ranges{{4, 5}, {6, 8}}, Rate: 60.5}}},
		&done,
		&Split{Job: testID, Slots: 2, Speed: 30},
		grant,
		&Collected{Job: testID, Cells: Ranges{{0, 4}}, Final: true, Epoch: 2},
		&Revoked{Job: testID, Peer: "b", Reason: "wrong bytes"},
		&Cancel{Job: testID, Nonce: nonce, Reason: "by the user"},
		&Released{Job: testID, Range: Range{4, 5}, Gen: 1, Cause: CauseFailed, Reason: "Traceback"},
		&Pull{Known: []Known{{Job: testID, Cells: Ranges{{0, 4}}}, {Job: testID, Over: true, All: true}}},
		&State{Facts: [][]byte{signed.Raw}, More: true},
		&Missing{Job: testID, Path: "data/points.csv"},
		&Supplied{Job: testID, Path: "data/points.csv", Files: CIDOf([]byte("files"))},
	}
}

// TestMessages seals and opens every message, and compares the bytes with the
// golden file: what is on the wire does not change by accident.
func TestMessages(t *testing.T) {
	const file = "testdata/messages.txt"
	var got strings.Builder
	kinds := map[Kind]bool{}
	for _, m := range samples(t) {
		s, err := Seal(testKey("a"), m)
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		back, err := Open(testKey(""), s.Raw)
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		if back.From != "a" || !reflect.DeepEqual(back.Msg, m) {
			t.Errorf("%T: got %+v from %s, want %+v", m, back.Msg, back.From, m)
		}
		if c, ok := m.(*Claim); ok != (back.Grant != nil) || ok && !bytes.Equal(back.Grant.Raw, c.Grant) {
			t.Errorf("%T: grant %+v", m, back.Grant)
		}
		if d, ok := m.(*Done); ok != (back.Of != nil) || ok && !bytes.Equal(back.Of.Raw, d.Of) {
			t.Errorf("%T: of %+v", m, back.Of)
		}
		fmt.Fprintf(&got, "%T %s\n", m, hex.EncodeToString(s.Raw))
		kinds[m.Kind()] = true
	}
	for k := Kind(0); k < 255; k++ {
		if (newMessage(k) != nil) != kinds[k] {
			t.Errorf("kind %d: has a message %v, has a sample %v", k, newMessage(k) != nil, kinds[k])
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the wire form has changed:\n%s", got.String())
	}
}

// TestOpenRefuses opens envelopes that somebody has tampered with.
func TestOpenRefuses(t *testing.T) {
	done := &Done{Job: testID, Cell: 5, Output: CIDOf([]byte("files")), Size: 1}
	good, err := Seal(testKey("a"), done)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good.Raw {
		bad := bytes.Clone(good.Raw)
		bad[i] ^= 1
		if s, err := Open(testKey(""), bad); err == nil {
			t.Errorf("byte %d changed: opened as %+v", i, s)
		}
	}
	for name, change := range map[string]func(d *Done) Message{
		"no Done":        func(d *Done) Message { return &Pull{} },
		"another job's":  func(d *Done) Message { d.Job = ID(d.Output); return d },
		"another cell's": func(d *Done) Message { d.Cell++; return d },
		"another output": func(d *Done) Message { d.Output = CIDOf(nil); return d },
		"another size":   func(d *Done) Message { d.Size++; return d },
		"a copy's":       func(d *Done) Message { d.Of = good.Raw; return d },
	} {
		of, copied := *done, *done
		copied.Of = mustSeal(t, "a", change(&of)).Raw
		if _, err := Open(testKey(""), mustSeal(t, "b", &copied).Raw); !errors.Is(err, ErrInvalid) {
			t.Errorf("a copy of %s: %v", name, err)
		}
	}
	claim := &Claim{Job: testID, Range: Range{0, 1}, Gen: 1}
	for name, grant := range map[string][]byte{
		"no envelope":     []byte("grant"),
		"not a grant":     good.Raw,
		"a claim":         mustSeal(t, "a", claim).Raw,
		"a grant forged":  append(bytes.Clone(mustSeal(t, "a", &Grant{Job: testID, To: "b"}).Raw[:60]), 0),
		"a grant and air": append(bytes.Clone(mustSeal(t, "a", &Grant{Job: testID, To: "b"}).Raw), 0),
	} {
		c := *claim
		c.Grant = grant
		if _, err := Open(testKey(""), mustSeal(t, "b", &c).Raw); !errors.Is(err, ErrInvalid) {
			t.Errorf("a claim with %s: %v", name, err)
		}
	}
	e := envelope{V: 2, Kind: KindDone, From: "a", Body: []byte{0xa0}}
	raw, err := encode(&e, MaxMessage)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testKey(""), raw); !errors.Is(err, ErrVersion) {
		t.Errorf("version 2: %v", err)
	}
	if _, err := Open(testKey(""), make([]byte, MaxState+1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("too large: %v", err)
	}
}

func mustSeal(t *testing.T, by string, m Message) Signed {
	t.Helper()
	s, err := Seal(testKey(by), m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestInvalid has one message for each rule that a message can break.
func TestInvalid(t *testing.T) {
	long := strings.Repeat("x", MaxText+1)
	out := CIDOf(nil)
	held := func(h Held) *Progress { h.Job = testID; return &Progress{Held: []Held{h}} }
	for i, m := range []Message{
		&Call{},
		&Call{Need: Need{Renderer: long}},
		&Ready{Slots: 5000},
		&Ready{Speed: -1},
		&Ready{Queue: 1e300},
		&Ready{Sandbox: long},
		&Offer{Job: "no cid"},
		&Offer{Job: testID, Roster: []Member{{Peer: "a"}, {Peer: "a"}}},
		&Offer{Job: testID, Roster: []Member{{}}},
		&Offer{Job: testID, Roster: make([]Member, MaxRoster+1)},
		&Claim{Job: testID},
		&Claim{Job: testID, Range: Range{2, 1}},
		&Claim{Job: testID, Range: Range{0, MaxCells + 1}},
		&Progress{Held: make([]Held, MaxHeld+1)},
		held(Held{Range: Range{0, 0}}),
		held(Held{Range: Range{0, 2}, Left: Ranges{{1, 3}}}),
		held(Held{Range: Range{0, 2}, Left: Ranges{{1, 1}}}),
		held(Held{Range: Range{0, 2}, Rate: -1}),
		&Progress{Held: slices.Repeat([]Held{{Job: testID, Range: Range{0, MaxCells}, Left: Ranges{{0, MaxCells}}}}, 5)},
		&Done{Job: testID, Cell: MaxCells, Output: out},
		&Done{Job: testID, Output: "Qm"},
		&Done{Job: testID, Output: out, Size: MaxSetSize + 1},
		&Done{Job: testID, Output: out, Of: make([]byte, maxDone+1)},
		&Split{Job: testID, Slots: 5000},
		&Grant{Job: testID, To: "", Range: Range{0, 1}},
		&Grant{Job: testID, To: "b", Range: Range{1, 0}},
		&Grant{Job: testID, To: "b", Hint: PeerID(strings.Repeat("x", 200))},
		&Collected{Job: testID, Cells: Ranges{{1, 2}, {2, 3}}},
		&Revoked{Job: testID, Peer: "b", Reason: long},
		&Revoked{Job: testID},
		&Cancel{Reason: long},
		&Cancel{Job: "x"},
		&Released{Job: testID},
		&Released{Job: testID, Range: Range{0, 1}, Reason: long},
		&Pull{Known: make([]Known, MaxKnown+1)},
		&Pull{Known: []Known{{Job: "x"}}},
		&State{Facts: [][]byte{make([]byte, MaxMessage+1)}},
	} {
		if _, err := Seal(testKey("a"), m); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d: %T was sealed: %v", i, m, err)
		}
	}
}

// TestRank pins the order that all nodes must agree on.
func TestRank(t *testing.T) {
	for _, c := range []struct {
		n    uint32
		peer PeerID
		want uint64
	}{{0, "a", 0x12c5e0a6dbb94b3b}, {1, "a", 0x79f216b77f57aa41}, {0, "b", 0x806d0dbf417d27e8}} {
		if got := Rank(testID, c.n, c.peer); got != c.want {
			t.Errorf("Rank(%d, %q) = %#x, want %#x", c.n, c.peer, got, c.want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, m := range samples(f) {
		s, err := Seal(testKey("a"), m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s.Raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Open(anyKey{}, raw)
		if err != nil {
			return
		}
		again, err := Seal(testKey(s.From), s.Msg)
		if err != nil {
			t.Fatalf("%+v was opened but cannot be sealed: %v", s.Msg, err)
		}
		back, err := Open(anyKey{}, again.Raw)
		if err != nil || !reflect.DeepEqual(back.Msg, s.Msg) {
			t.Fatalf("%+v came back as %+v: %v", s.Msg, back.Msg, err)
		}
	})
}

// anyKey takes every signature, so that a fuzzer gets past it.
type anyKey struct{}

func (anyKey) Verify(PeerID, []byte, []byte) error { return nil }
