// SPDX-License-Identifier: MIT

package p2p

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

func newTestMesh(t testing.TB, name string) Mesh {
	t.Helper()
	m, err := NewMesh(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCode(t *testing.T) {
	for _, name := range []string{"home", "a", "a-b", "-", "--", "A.b_c-1", strings.Repeat("x", 64)} {
		m := newTestMesh(t, name)
		code := m.Code()
		for _, typed := range []string{
			code, " " + code + "\n", name + strings.ToUpper(code[len(name):]),
			name + "-" + strings.ReplaceAll(code[len(name):], "-", ""),
		} {
			got, err := ParseCode(typed)
			if err != nil || got.Name != name || !bytes.Equal(got.Secret, m.Secret) {
				t.Errorf("%q: %v, %v", typed, got, err)
			}
		}
	}
	if other := newTestMesh(t, "home"); bytes.Equal(other.Secret, newTestMesh(t, "home").Secret) {
		t.Error("two meshes have one secret")
	}
	for _, name := range []string{"", "a b", "a/b", strings.Repeat("x", 65)} {
		if _, err := NewMesh(name); err == nil {
			t.Errorf("a mesh is called %q", name)
		}
	}
}

// Every slip of one letter is found, in the name as well.
func TestCodeFindsSlips(t *testing.T) {
	code := newTestMesh(t, "studio").Code()
	for i := range code {
		for _, c := range "abz27-" {
			typed := code[:i] + string(c) + code[i+1:]
			if m, err := ParseCode(typed); err == nil && typed != code || err != nil && !errors.Is(err, ErrCode) {
				t.Errorf("%q for %q: %v, %v", typed, code, m, err)
			}
		}
	}
	for _, typed := range []string{"", "studio", "studio-", code[1:], code[:len(code)-1], code + "a", "é" + code, code + "é"} {
		if _, err := ParseCode(typed); !errors.Is(err, ErrCode) {
			t.Errorf("%q: %v", typed, err)
		}
	}
}

// What others may see of a private mesh does not contain its name or secret, and
// differs for each purpose and each mesh.
func TestMeshTellsNothing(t *testing.T) {
	m := newTestMesh(t, "home")
	seen := []string{serviceName(m), m.Mark(), string(m.derive("connect")), serviceName(Mesh{Name: "home"})}
	other := newTestMesh(t, "home")
	seen = append(seen, serviceName(other), other.Mark(), string(other.derive("connect")))
	renamed := Mesh{"work", m.Secret}
	seen = append(seen, serviceName(renamed), renamed.Mark(), string(renamed.derive("connect")))
	for i, s := range seen {
		for _, o := range seen[i+1:] {
			if s == o {
				t.Errorf("%q twice", s)
			}
		}
	}
	digits := codeEncoding.EncodeToString(m.Secret)
	for _, text := range []string{m.String(), m.Mark(), serviceName(m), fmt.Sprintf("%v %+v", m, m)} {
		for i := range len(digits) - codeGroup {
			if strings.Contains(text, digits[i:i+codeGroup]) {
				t.Errorf("%q has a part of the secret", text)
			}
		}
	}
}

func TestMeshFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh")
	if _, err := ReadMesh(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	m := newTestMesh(t, "studio")
	if err := WriteMesh(path, m); err != nil {
		t.Fatal(err)
	}
	got, err := ReadMesh(path)
	if err != nil || got.String() != m.String() || !bytes.Equal(got.Secret, m.Secret) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "studio", m.Code()[1:], strings.Repeat("x", maxCodeFile+1)} {
		if err := writeFile(path, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadMesh(path); !errors.Is(err, ErrCode) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	if _, err := ReadMesh(t.TempDir()); err == nil {
		t.Error("a folder is a code")
	}
}

func FuzzParseCode(f *testing.F) {
	m := newTestMesh(f, "studio")
	f.Add(m.Code())
	f.Add(strings.ToUpper(m.Code()))
	f.Add("home-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa")
	f.Fuzz(func(t *testing.T, code string) {
		m, err := ParseCode(code)
		if err != nil {
			return
		}
		if again, err := ParseCode(m.Code()); err != nil || again.Code() != m.Code() {
			t.Errorf("%q is %v, and that %v, %v", code, m, again, err)
		}
	})
}
