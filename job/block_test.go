// SPDX-License-Identifier: MIT

package job

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

func testManifest() *Manifest {
	return &Manifest{
		V: Version, Submitter: "a", Nonce: Nonce{9}, Name: "Scene", Need: testNeed(), Spec: []byte(`{"seed":1}`),
		Assets: CIDOf([]byte("assets")), Width: 1920, Height: 1080, FPS: 60,
		Plays: []Play{{Frames: 60}, {Frames: 600, Frozen: true}, {}}, CellFrames: 5, Walk: 1.5,
	}
}

func testFileSet() *FileSet {
	return &FileSet{V: Version, Files: []File{
		{Path: "empty", Blocks: []CID{}},
		{Path: "media/Tex/a.svg", Size: 5, Blocks: []CID{CIDOf([]byte("12345"))}},
		{Path: "scene.py", Size: MaxBlock + 1, Blocks: []CID{CIDOf([]byte("x")), CIDOf([]byte("y"))}},
	}}
}

func testAdvert() *Advert {
	return &Advert{
		V: Version, Name: "host", Version: "1", OS: "linux/amd64", Cores: 4, Memory: 1 << 33, Disk: 1 << 40, Slots: 2, Speed: 31.5,
		Sandbox: "full", Environments: []Environment{{Renderer: "manim", Version: "0.22.0", Fingerprint: "f", SelfTest: "s", Pictures: CIDOf([]byte("pictures")), Headers: "h"}}, Paused: true, Lacks: "x",
	}
}

// TestBlocks pins the CIDs of a manifest and a file set, and decodes them again.
func TestBlocks(t *testing.T) {
	b, id, err := testManifest().Block()
	if err != nil {
		t.Fatal(err)
	}
	if want := ID("bafkreiapcvlo7ydzsmugrqmwrfynzkdanbbzoabyc5tzdituuegwszz3ve"); id != want {
		t.Errorf("manifest: %s, want %s", id, want)
	}
	m, err := DecodeManifest(b)
	if err != nil || !reflect.DeepEqual(m, testManifest()) {
		t.Errorf("manifest: %+v, %v", m, err)
	}
	b, cid, err := testFileSet().Block()
	if err != nil {
		t.Fatal(err)
	}
	if want := CID("bafkreidi62hibo5v3rethkdz35nc4vikakghrylssbqg4nm46qsd5gyzp4"); cid != want {
		t.Errorf("file set: %s, want %s", cid, want)
	}
	s, err := DecodeFileSet(b)
	if err != nil || !reflect.DeepEqual(s, testFileSet()) {
		t.Errorf("file set: %+v, %v", s, err)
	}
	b, err = testAdvert().Encode()
	if err != nil {
		t.Fatal(err)
	}
	a, err := DecodeAdvert(b)
	if err != nil || !reflect.DeepEqual(a, testAdvert()) {
		t.Errorf("advert: %+v, %v", a, err)
	}
}

func TestFileSetHasOneForm(t *testing.T) {
	nothing := &FileSet{V: Version, Files: []File{{Path: "empty"}}}
	also := &FileSet{V: Version, Files: []File{{Path: "empty", Blocks: []CID{}}}}
	_, a, err := nothing.Block()
	_, b, err2 := also.Block()
	if a != b || err != nil || err2 != nil {
		t.Errorf("one empty file has the CIDs %s and %s (%v, %v)", a, b, err, err2)
	}
}

// Names that only begin like those of devices, and accents in either form, are fine.
func TestFileSetTakes(t *testing.T) {
	for _, path := range []string{"comp.py", "come", "com10.txt", "lpta/lpt", "console.txt", "con man.txt", "auxiliary", "nullé", "e\u0301.txt"} {
		if err := CheckPath(path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestFileSetRefuses(t *testing.T) {
	for name, paths := range map[string][]string{
		"twice":        {"a", "a"},
		"order":        {"b", "a"},
		"case":         {"A", "a"},
		"folded case":  {"STRASSE", "straße"},
		"accent":       {"e\u0301/x", "é/X"},
		"port":         {"LPT1.txt"},
		"port, raised": {"a/com¹"},
		"console":      {"CONOUT$"},
		"file, folder": {"x", "x/y"},
		"deep":         {"x", "x/y/z"},
		"folded":       {"X", "x/y"},
		"absolute":     {"/x"},
		"above":        {"../x"},
		"unclean":      {"x//y"},
		"device":       {"sub/NUL.txt"},
		"device, gap":  {"con  .txt"},
		"port, gap":    {"COM1 .tar.gz"},
		"stream":       {"a:b"},
		"dot":          {"a."},
		"not UTF-8":    {"a\xff"},
		"long":         {strings.Repeat("x", MaxPath+1)},
	} {
		s := &FileSet{V: Version}
		for _, p := range paths {
			s.Files = append(s.Files, File{Path: p})
		}
		if _, _, err := s.Block(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManifestRefuses(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"version":      func(m *Manifest) { m.V = 2 },
		"submitter":    func(m *Manifest) { m.Submitter = "" },
		"name":         func(m *Manifest) { m.Name = strings.Repeat("x", MaxName+1) },
		"need":         func(m *Manifest) { m.Need.Renderer = "" },
		"spec":         func(m *Manifest) { m.Spec = make([]byte, MaxSpec+1) },
		"assets":       func(m *Manifest) { m.Assets = "x" },
		"width":        func(m *Manifest) { m.Width = 0 },
		"height":       func(m *Manifest) { m.Height = 1 << 16 },
		"fps 0":        func(m *Manifest) { m.FPS = 0 },
		"fps NaN":      func(m *Manifest) { m.FPS = math.NaN() },
		"no frames":    func(m *Manifest) { m.Plays = nil },
		"frames":       func(m *Manifest) { m.Plays = []Play{{Frames: MaxFrames}, {Frames: 1}} },
		"overflow":     func(m *Manifest) { m.Plays = []Play{{Frames: math.MaxUint32}, {Frames: 2}} },
		"cells":        func(m *Manifest) { m.Plays, m.CellFrames = []Play{{Frames: MaxCells + 1}}, 1 },
		"many plays":   func(m *Manifest) { m.Plays = make([]Play, MaxPlays+1) },
		"walk":         func(m *Manifest) { m.Walk = math.Inf(1) },
		"walk is less": func(m *Manifest) { m.Walk = -1 },
	} {
		m := testManifest()
		change(m)
		if _, _, err := m.Block(); !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := testManifest()
	m.Plays, m.CellFrames = []Play{{Frames: MaxCells}}, 1
	if err := m.Validate(); err != nil {
		t.Errorf("as many cells as allowed: %v", err)
	}
}

func FuzzDecodeManifest(f *testing.F) {
	b, _, err := testManifest().Block()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b)
		if err != nil {
			return
		}
		if n := len(m.Grid()); n == 0 || n > MaxCells {
			t.Fatalf("%d cells", n)
		}
		if _, _, err := m.Block(); err != nil {
			t.Fatalf("decoded but not encoded: %v", err)
		}
	})
}

func FuzzDecodeFileSet(f *testing.F) {
	b, _, err := testFileSet().Block()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeFileSet(b)
		if err != nil {
			return
		}
		if s.Size() > MaxSetSize {
			t.Fatalf("%d bytes", s.Size())
		}
		for _, file := range s.Files {
			if err := CheckPath(file.Path); err != nil {
				t.Fatal(err)
			}
		}
		again, cid, err := s.Block()
		if err != nil || cid != CIDOf(again) {
			t.Fatalf("decoded but not encoded: %v", err)
		}
	})
}

func FuzzDecodeAdvert(f *testing.F) {
	b, err := testAdvert().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DecodeAdvert(b)
		if err != nil {
			return
		}
		again, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := DecodeAdvert(again); err != nil || !reflect.DeepEqual(a, back) {
			t.Fatalf("%+v came back as %+v: %v", a, back, err)
		}
	})
}

func TestCID(t *testing.T) {
	for _, c := range []CID{"", "x", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", CIDOf(nil) + " ", CID(strings.ToUpper(string(CIDOf(nil))))} {
		if _, err := c.Parse(); !errors.Is(err, ErrCID) {
			t.Errorf("%q: %v", c, err)
		}
	}
	const want = "bafkreif7fs2yu2hwqtmvuo3y56hwmhe2jznqt2bmzd44zcgm5ecsrsxle4"
	if got := CIDOf(bytes.Repeat([]byte("a"), 10)); got != want {
		t.Errorf("CID of ten a: %s, want %s", got, want)
	} else if _, err := got.Parse(); err != nil {
		t.Error(err)
	}
}
