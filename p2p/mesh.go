// SPDX-License-Identifier: MIT

package p2p

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Mesh is what nodes are in together. An open one is known by its name alone;
// the nodes of a private one share a secret, without which nobody can connect to
// them.
type Mesh struct {
	Name   string // see CheckMesh
	Secret Secret // nil: the mesh is open
}

// Secret is what the nodes of a private mesh share: 16 random bytes, so that
// what is derived from it and seen by others cannot be guessed back.
type Secret []byte

// ErrCode is wrapped when text is not the code of a private mesh.
var ErrCode = errors.New("p2p: not the code of a mesh")

// A code is the name of the mesh, a dash, and thirty letters and digits in groups
// of five: the secret, and a checksum that finds slips of the pen.
const (
	secretSize  = 16
	codeSecret  = 26 // digits of the secret
	codeDigits  = codeSecret + 4
	codeGroup   = 5
	maxCodeFile = 1 << 10 // bytes; a code has at most 100
)

var codeEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// CheckMesh returns an error unless name can name a mesh: 1 to 64 letters,
// digits, dots, dashes and underscores.
func CheckMesh(name string) error {
	if len(name) == 0 || len(name) > 64 {
		return fmt.Errorf("p2p: mesh name of %d characters: use 1 to 64", len(name))
	}
	for _, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && !(r >= '0' && r <= '9') && r != '.' && r != '-' && r != '_' {
			return fmt.Errorf("p2p: mesh name %q: use letters, digits, dots, dashes and underscores", name)
		}
	}
	return nil
}

// NewMesh makes a private mesh.
func NewMesh(name string) (Mesh, error) {
	m := Mesh{Name: name, Secret: make(Secret, secretSize)}
	_, _ = rand.Read(m.Secret) // never fails
	return m, m.check()
}

func (m Mesh) check() error {
	if m.Secret != nil && len(m.Secret) != secretSize {
		return fmt.Errorf("p2p: secret of %d bytes, %d wanted", len(m.Secret), secretSize)
	}
	return CheckMesh(m.Name)
}

// Private reports whether the mesh has a secret.
func (m Mesh) Private() bool { return m.Secret != nil }

// String is the name, with the mark of a private mesh. It tells no secret.
func (m Mesh) String() string {
	if !m.Private() {
		return m.Name
	}
	return m.Name + " (private, " + m.Mark() + ")"
}

// Mark tells private meshes of one name apart: five letters and digits that are
// the same on all their nodes. An open mesh has none.
func (m Mesh) Mark() string {
	if !m.Private() {
		return ""
	}
	return codeEncoding.EncodeToString(m.derive("mark"))[:codeGroup]
}

// Code is what makes another node one of a private mesh. Whoever has it is in.
func (m Mesh) Code() string {
	digits := codeEncoding.EncodeToString(m.Secret)
	digits += m.checksum()
	code := m.Name
	for ; digits != ""; digits = digits[codeGroup:] {
		code += "-" + digits[:codeGroup]
	}
	return code
}

func (m Mesh) checksum() string {
	sum := sha256.Sum256([]byte("meshnode/1 code\x00" + m.Name + "\x00" + string(m.Secret)))
	return codeEncoding.EncodeToString(sum[:])[:codeDigits-codeSecret]
}

// ParseCode is the reverse of Code. Of the part behind the name, capitals and
// dashes do not matter.
func ParseCode(code string) (Mesh, error) {
	code = strings.TrimSpace(code)
	digits, at := "", len(code)
	for ; at > 0 && len(digits) < codeDigits; at-- {
		if c := code[at-1]; c != '-' {
			digits = string(c) + digits
		}
	}
	name, dash := strings.CutSuffix(code[:at], "-")
	digits = strings.ToLower(digits)
	if dash && len(digits) == codeDigits {
		secret, err := codeEncoding.DecodeString(digits[:codeSecret])
		m := Mesh{Name: name, Secret: secret}
		if err == nil && m.check() == nil && codeEncoding.EncodeToString(secret)+m.checksum() == digits {
			return m, nil
		}
	}
	return Mesh{}, fmt.Errorf("%w: it is not whole, or has a slip: give all that \"meshnode mesh code\" prints on a computer of the mesh", ErrCode)
}

// ReadMesh reads the code in a file. One that others can use is refused; the
// error for a missing one is fs.ErrNotExist.
func ReadMesh(path string) (Mesh, error) {
	f, err := os.Open(path)
	if err != nil {
		return Mesh{}, fmt.Errorf("p2p: code of the mesh: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Mesh{}, fmt.Errorf("p2p: code of the mesh: %w", err)
	}
	if err := checkOwner("code of the mesh", path, info); err != nil {
		return Mesh{}, err
	}
	if !info.Mode().IsRegular() {
		return Mesh{}, fmt.Errorf("%w: %s is not a file", ErrCode, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxCodeFile+1))
	if err != nil {
		return Mesh{}, fmt.Errorf("p2p: code of the mesh: %w", err)
	}
	if len(data) > maxCodeFile {
		return Mesh{}, fmt.Errorf("%w: %s has more than one line of text", ErrCode, path)
	}
	m, err := ParseCode(string(bytes.TrimSpace(data)))
	if err != nil {
		return Mesh{}, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// WriteMesh puts the code of a private mesh into a file that only its owner can
// use.
func WriteMesh(path string, m Mesh) error {
	if err := writeFile(path, []byte(m.Code()+"\n")); err != nil {
		return fmt.Errorf("p2p: write the code of the mesh: %w", err)
	}
	return nil
}

// derive returns 32 bytes for one purpose, which tell nothing of the secret or of
// what is derived for others.
func (m Mesh) derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, m.Secret, nil, "meshnode/1 "+purpose+"\x00"+m.Name, 32)
	if err != nil { // only for lengths beyond 8160 bytes
		panic(fmt.Sprintf("p2p: derive: %v", err))
	}
	return key
}
