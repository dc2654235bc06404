// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
)

// liar is an engine that a stranger's scene has taken over.
type liar struct {
	renderer.Engine
	out    *os.Root
	answer *renderer.Rendered
}

func newLiar(t *testing.T, answer *renderer.Rendered) *liar {
	out, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	return &liar{out: out, answer: answer}
}

func (l *liar) Out() *os.Root { return l.out }
func (l *liar) Close() error  { return nil }

func (l *liar) Render(context.Context, uint32) (*renderer.Rendered, error) { return l.answer, nil }

// tenFrames is a manifest whose one cell has ten frames.
var tenFrames = &job.Manifest{Width: 16, Height: 16, FPS: 30, Plays: []job.Play{{Frames: 10}}}

// What an engine says of its own time cannot be longer than it took.
func TestSecondsAreBounded(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{}, 1)
	for i, said := range []float64{1e308, -5} {
		w := n.workOn(job.ID(fmt.Sprint("time", i)))
		w.man, w.engine = tenFrames, newLiar(t, &renderer.Rendered{Seconds: said})
		done, err := n.renderCell(t.Context(), w, 0)
		if err != nil || done.Seconds < 0 || done.Seconds > 60 {
			t.Errorf("%v: %v seconds, %v", said, done.Seconds, err)
		}
		w.engine = nil
	}
}

// Files of a cell are bounded in number and in bytes together, and must stay
// what they were when they were looked at.
func TestOutputs(t *testing.T) {
	store := newMesh(t).add(&synthetic.Renderer{}, 1).parts.Store
	l := newLiar(t, nil)
	write := func(name string, size int) string {
		t.Helper()
		if err := l.out.WriteFile(name, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	limit := int(outputLimit(tenFrames, 0))
	var many []string
	for i := range 11 {
		many = append(many, write(fmt.Sprint("many", i), 1))
	}
	strange := write("new\nline", 1)
	for _, test := range []struct {
		name  string
		files []string
		ok    bool
	}{
		{"a picture for each frame", many[:10], true},
		{"more than frames", many, false},
		{"as large as may be", []string{write("large", limit)}, true},
		{"too large", []string{write("larger", limit+1)}, false},
		{"too large together", []string{write("half", limit/2), write("other half", limit/2+2)}, false},
		{"a name twice", []string{many[0], many[0]}, false},
		{"not there", []string{"none"}, false},
		{"outside", []string{"../" + many[0]}, false},
		{"a control character", []string{strange}, false},
		{"a long name", []string{strings.Repeat("x", 2000)}, false},
	} {
		sources, err := outputs(l.out, test.files, tenFrames, 0)
		if err == nil {
			_, _, err = store.Import(t.Context(), sources)
		}
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for what, change := range map[string]func(name string) error{
		"grown":      func(name string) error { return l.out.WriteFile(name, make([]byte, 20), 0o600) },
		"a link now": func(name string) error { l.out.Remove(name); return l.out.Symlink(many[0], name) },
		"gone":       l.out.Remove,
	} {
		name := write("changing", 10)
		sources, err := outputs(l.out, []string{name}, tenFrames, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(name); err != nil {
			t.Fatal(err)
		}
		if f, err := sources[0].Open(); err == nil {
			text, _ := io.ReadAll(f)
			t.Errorf("%s: %d bytes were read", what, len(text))
			f.Close()
		}
		l.out.Remove(name)
	}
}
