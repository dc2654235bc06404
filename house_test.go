// SPDX-License-Identifier: MIT

// Package meshnode_test checks what holds for the whole repository.
package meshnode_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport lists, for each package, the packages of this module that its code
// may import: one way, from the commands down to the job. A package below a
// listed one follows the listed one's rule and may import it. Tests may import
// more.
var mayImport = map[string][]string{
	"job":         {},
	"p2p":         {"job"},
	"blockstore":  {"job"},
	"scheduler":   {"job"},
	"renderer":    {"job"},
	"node":        {"job", "p2p", "blockstore", "scheduler", "renderer"},
	"api":         {"job", "node"},
	"cmd":         {"job", "node", "api", "renderer", "p2p"}, // setup, doctor and the check of addresses work without a node
	"e2e":         {},
	"bench":       {"job", "node", "api", "renderer", "p2p", "blockstore", "scheduler", "e2e"},
	"scripts":     {"e2e"},
	"house tests": {},
}

// source is a Go file of the repository.
type source struct {
	path string // slash-separated, from the root
	file *ast.File
}

// room is the top folder of the file.
func (s source) room() string {
	top, _, below := strings.Cut(s.path, "/")
	if !below {
		return "house tests"
	}
	return top
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// tracked returns the files that the repository holds.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		t.Skip("not a git checkout: ", err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(name); err == nil {
			files = append(files, name)
		}
	}
	return files
}

func sources(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	set := token.NewFileSet()
	var all []source
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata/") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{filepath.ToSlash(name), f})
	}
	return set, all
}

func TestImportsPointOneWay(t *testing.T) {
	set, all := sources(t)
	for _, s := range all {
		allowed, known := mayImport[s.room()]
		if !known {
			t.Errorf("%s: the room %q is not in the table of imports", s.path, s.room())
			continue
		}
		if s.isTest() {
			continue
		}
		for _, spec := range s.file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			inside, ours := strings.CutPrefix(path, "meshnode/")
			if !ours {
				continue
			}
			room, _, _ := strings.Cut(inside, "/")
			if room != s.room() && !slices.Contains(allowed, room) {
				t.Errorf("%s: %s may not import %s", set.Position(spec.Pos()), s.room(), path)
			}
		}
	}
}

// TestSchedulerIsPure: the policy sees the world through events only.
func TestSchedulerIsPure(t *testing.T) {
	forbidden := []string{"libp2p", "ipfs", "multiformats", "net", "os", "io/fs", "log", "sync", "context", "math/rand", "crypto/rand"}
	clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}
	set, all := sources(t)
	for _, s := range all {
		if filepath.ToSlash(filepath.Dir(s.path)) != "scheduler" || s.isTest() {
			continue
		}
		for _, spec := range s.file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			for _, f := range forbidden {
				if path == f || strings.HasPrefix(path, f+"/") || strings.HasPrefix(path, "github.com/"+f+"/") {
					t.Errorf("%s: scheduler may not import %s", set.Position(spec.Pos()), path)
				}
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: scheduler starts a goroutine", set.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
					t.Errorf("%s: scheduler reads the clock: time.%s", set.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	_, all := sources(t)
	documented, seen := map[string]bool{}, map[string]bool{}
	for _, s := range all {
		dir := filepath.Dir(s.path)
		if s.isTest() && s.room() != "house tests" {
			continue
		}
		seen[dir] = true
		if s.file.Doc != nil {
			documented[dir] = true
		}
	}
	for dir := range seen {
		if !documented[dir] {
			t.Errorf("package %s has no doc comment", dir)
		}
	}
}

func TestNoHelperPackages(t *testing.T) {
	_, all := sources(t)
	for _, s := range all {
		switch name := s.file.Name.Name; name {
		case "util", "utils", "common", "helper", "helpers", "misc", "models", "shared":
			t.Errorf("%s: a package called %s says nothing about its subject", s.path, name)
		}
	}
}

// TestLicenseLines: each source file begins with its license, after "#!".
func TestLicenseLines(t *testing.T) {
	const license = "SPDX-License-Identifier: MIT"
	for _, name := range tracked(t) {
		b, err := os.ReadFile(name)
		if err != nil || !isSource(name, b) || strings.Contains(name, "testdata/") {
			continue
		}
		lines := strings.SplitN(string(b), "\n", 3)
		first := lines[0]
		if strings.HasPrefix(first, "#!") && len(lines) > 1 {
			first = lines[1]
		}
		if first != "// "+license && first != "# "+license {
			t.Errorf("%s: the first line is not %q", name, license)
		}
	}
}

func isSource(name string, content []byte) bool {
	switch filepath.Ext(name) {
	case ".go", ".py", ".sh", ".toml":
		return true
	}
	return filepath.Base(name) == "Makefile" || bytes.HasPrefix(content, []byte("#!"))
}

func TestModuleIsSelfContained(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^\s*(replace|exclude)\b`).Match(b) {
		t.Error("go.mod has replace or exclude lines: the module would build differently elsewhere")
	}
}

// TestNoMachinePaths: nothing names the machine it was written on.
func TestNoMachinePaths(t *testing.T) {
	// In pieces, so that this file passes.
	paths := regexp.MustCompile(`/ro` + `ot/|/ho` + `me/[a-z]{2,}/|/Us` + `ers/[A-Za-z]+/|/tm` + `p/w/|/wo` + `rk/`)
	for _, name := range tracked(t) {
		info, err := os.Stat(name)
		if err != nil || info.Size() > 1<<20 || filepath.Base(name) == "go.sum" {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil || bytes.IndexByte(b, 0) >= 0 {
			continue
		}
		for i, line := range bytes.Split(b, []byte("\n")) {
			if m := paths.Find(line); m != nil {
				t.Errorf("%s:%d: names %s", name, i+1, m)
			}
		}
	}
}

// TestLayout: the rooms of the house, and nothing beside them.
func TestLayout(t *testing.T) {
	rooms := []string{"api", "bench", "blockstore", "cmd", "docs", "e2e", "examples", "job", "node", "p2p", "renderer", "scheduler", "scripts"}
	seen := map[string]bool{}
	for _, name := range tracked(t) {
		top, _, below := strings.Cut(filepath.ToSlash(name), "/")
		if below && !strings.HasPrefix(top, ".") {
			seen[top] = true
		}
	}
	for top := range seen {
		if !slices.Contains(rooms, top) {
			t.Errorf("the folder %s is no room of docs/design.md", top)
		}
	}
}
