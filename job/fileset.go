// SPDX-License-Identifier: MIT

package job

import (
	"io/fs"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// FileSet is a flat list of files as blocks: a job's inputs, or the output of a
// cell. Encoded, it is a block itself; its CID stands for the whole set. It has
// no folders, links, modes or nesting, and it declares every size before a byte
// is fetched.
type FileSet struct {
	V     uint   `cbor:"0,keyasint"`
	Files []File `cbor:"1,keyasint"` // sorted by path, no path twice
}

// File is one file of a set. All its blocks but the last have [MaxBlock] bytes.
type File struct {
	Path   string `cbor:"0,keyasint"` // relative, slash-separated, clean
	Size   uint64 `cbor:"1,keyasint"` // bytes
	Blocks []CID  `cbor:"2,keyasint"` // none for an empty file
}

// Size returns the bytes of all files.
func (s *FileSet) Size() uint64 {
	n := uint64(0)
	for _, f := range s.Files {
		n += f.Size
	}
	return n
}

// Blocks returns the distinct blocks of all files, in order of first use.
func (s *FileSet) Blocks() []CID {
	seen := make(map[CID]bool)
	var out []CID
	for _, f := range s.Files {
		for _, c := range f.Blocks {
			if !seen[c] {
				seen[c] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// Validate checks paths, order, counts and sizes.
func (s *FileSet) Validate() error {
	if s.V != Version {
		return invalid("file set: version %d", s.V)
	}
	if len(s.Files) > MaxFiles {
		return invalid("file set: %d files", len(s.Files))
	}
	total := uint64(0)
	folded := make(map[string]string, len(s.Files))
	for i, f := range s.Files {
		if err := CheckPath(f.Path); err != nil {
			return err
		}
		if i > 0 && f.Path <= s.Files[i-1].Path {
			return invalid("file set: %q out of order", f.Path)
		}
		// Two names that one file system takes for one would overwrite each other.
		low := foldPath(f.Path)
		if other, ok := folded[low]; ok {
			return invalid("file set: %q and %q are one name to some systems", other, f.Path)
		}
		folded[low] = f.Path
		for at := strings.LastIndexByte(low, '/'); at > 0; at = strings.LastIndexByte(low[:at], '/') {
			if other, ok := folded[low[:at]]; ok {
				return invalid("file set: %q is a file, and the folder of %q", other, f.Path)
			}
		}
		if total += f.Size; f.Size > MaxSetSize || total > MaxSetSize {
			return invalid("file set: more than %d bytes", int64(MaxSetSize))
		}
		if uint64(len(f.Blocks)) != (f.Size+MaxBlock-1)/MaxBlock {
			return invalid("file set: %q: %d blocks for %d bytes", f.Path, len(f.Blocks), f.Size)
		}
		for _, c := range f.Blocks {
			if _, err := c.Parse(); err != nil {
				return invalid("file set: %q: %v", f.Path, err)
			}
		}
	}
	return nil
}

// foldPath returns what two paths have in common that a file system may take for
// one: capitals do not matter to most on Windows and macOS, nor on macOS whether an
// accent is part of its letter.
func foldPath(path string) string {
	return norm.NFD.String(cases.Fold().String(norm.NFD.String(path)))
}

// reserved names are devices on Windows, with any extension.
var reserved = map[string]bool{"con": true, "prn": true, "aux": true, "nul": true, "conin$": true, "conout$": true}

// isPort reports whether a name in small letters is a port on Windows.
func isPort(name string) bool {
	number, ok := strings.CutPrefix(name, "com")
	if !ok {
		number, ok = strings.CutPrefix(name, "lpt")
	}
	return ok && utf8.RuneCountInString(number) == 1 && strings.Contains("0123456789¹²³", number)
}

// CheckPath returns an error for a path that may not be in a file set: absolute
// or unclean, too long, not UTF-8, or a name that some system takes for a
// device, a stream or a folder above.
func CheckPath(path string) error {
	if len(path) > MaxPath || path == "." || !fs.ValidPath(path) || !utf8.ValidString(path) {
		return invalid("file set: path %.80q", path)
	}
	for part := range strings.SplitSeq(path, "/") {
		if strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || strings.ContainsRune(`\:*?"<>|`, r) || r == 0x7f }) {
			return invalid("file set: path %.80q has a character that some systems forbid", path)
		}
		base, _, _ := strings.Cut(strings.ToLower(part), ".")
		base = strings.TrimRight(base, " ") // as Windows does: "con .txt" is the console
		if reserved[base] || isPort(base) || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") {
			return invalid("file set: path %.80q has a name that Windows reserves", path)
		}
	}
	return nil
}

// Block returns the encoded set and its CID.
func (s *FileSet) Block() ([]byte, CID, error) {
	if err := s.Validate(); err != nil {
		return nil, "", err
	}
	same := FileSet{s.V, make([]File, len(s.Files))} // nil and empty lists have one form
	for i, f := range s.Files {
		same.Files[i] = File{f.Path, f.Size, append([]CID{}, f.Blocks...)}
	}
	b, err := encode(&same, MaxFileSet)
	if err != nil {
		return nil, "", err
	}
	return b, CIDOf(b), nil
}

// DecodeFileSet decodes and validates a set's block.
func DecodeFileSet(block []byte) (*FileSet, error) {
	s := new(FileSet)
	if err := decode(decBlock, block, s, MaxFileSet); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}
