// SPDX-License-Identifier: MIT

package manim

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meshnode/renderer"
	"meshnode/renderer/renderertest"
	"meshnode/renderer/sandbox"
)

// sharedHome remembers, for all tests, what the first look at the interpreter
// found.
var sharedHome string

func TestMain(m *testing.M) {
	sandbox.MaybeInit()
	var err error
	if sharedHome, err = os.MkdirTemp("", "manim-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(sharedHome)
	os.Exit(code)
}

const scenes = `
from manim import *
from words import WORD

class Moves(Scene):
    def construct(self):
        dot = Dot().add_updater(lambda d, dt: d.shift(RIGHT * dt))
        self.add(dot, TracedPath(dot.get_center))
        self.play(Create(Square()), run_time=1)
        print("half way", WORD)
        self.wait(0.5)
        self.play(Rotate(Triangle(), PI), run_time=0.6)

class Breaks(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.2)
        raise RuntimeError("the curtain fell")
`

// realRenderer returns the renderer on the Python named by MESHNODE_PYTHON.
func realRenderer(t *testing.T) *Renderer {
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		t.Skip("MESHNODE_PYTHON names no Python with Manim")
	}
	r := New(Config{Home: sharedHome, Scratch: t.TempDir(), Python: python, Slots: 2, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if name := os.Getenv("MESHNODE_TEST_TIER"); name != "" { // instead of the first that holds
		r.tier.get(func() tier { return tier{name: sandbox.Tier(name)} })
	}
	return r
}

// firstOf returns the environment for jobs of this machine.
func firstOf(t *testing.T, r *Renderer) string {
	t.Helper()
	env, err := r.first()
	if err != nil {
		t.Fatal(err)
	}
	return env.id
}

func writeScenes(t *testing.T, dir string) {
	for name, text := range map[string]string{"scenes.py": scenes, "words.py": `WORD = "mesh"`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	if _, err := realRenderer(t).Sandbox(t.Context()); err != nil {
		t.Skip(err)
	}
	renderertest.Run(t, renderertest.Subject{
		New: func(t *testing.T) renderer.Renderer { return realRenderer(t) },
		Scene: func(t *testing.T, dir string) ([]string, uint32) {
			writeScenes(t, dir)
			return []string{"scenes.py", "Moves", "-ql", "--seed", "1", "--media_dir", filepath.Join(dir, "media")}, 5
		},
		Broken: func(t *testing.T, dir string) []string {
			writeScenes(t, dir)
			return []string{"scenes.py", "Breaks", "-ql", "--media_dir", filepath.Join(dir, "media")}
		},
		Pictures: func(t *testing.T, film []byte) string {
			name := filepath.Join(t.TempDir(), "film.mp4")
			if err := os.WriteFile(name, film, 0o600); err != nil {
				t.Fatal(err)
			}
			const program = "import av, sys; [print(hash(f.to_ndarray().tobytes())) for f in av.open(sys.argv[1]).decode(video=0)]"
			cmd := exec.Command(os.Getenv("MESHNODE_PYTHON"), "-c", program, name)
			cmd.Env = append(os.Environ(), "PYTHONHASHSEED=0")
			text, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			return string(text)
		},
		Limit: 2 * time.Minute,
	})
}

func TestSelfTestIsRepeatable(t *testing.T) {
	t.Parallel()
	one, other := realRenderer(t), realRenderer(t)
	defer one.Close()
	defer other.Close()
	env := firstOf(t, one)
	first, err := one.SelfTest(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(other.selfTestFile(env)); err != nil { // not to be read, but to be done again
		t.Fatal(err)
	}
	if len(first.Hash) != 64 || first.Speed <= 0 {
		t.Errorf("hash %q, %v frames per second", first.Hash, first.Speed)
	}
	second, err := other.SelfTest(t.Context(), env)
	if err != nil || second.Hash != first.Hash {
		t.Errorf("then %+v (%v), first %+v", second, err, first)
	}
	if envs, err := one.Environments(t.Context()); err != nil || envs[0].SelfTest != first.Hash {
		t.Errorf("environment %+v (%v)", envs, err)
	}
}

func TestSceneErrorIsManimsOwn(t *testing.T) {
	r := realRenderer(t)
	defer r.Close()
	e, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	dir := t.TempDir()
	writeScenes(t, dir)
	_, err = e.Plan(t.Context(), renderer.Request{Args: []string{"scenes.py", "Breaks", "-ql", "--media_dir", dir}, Dir: dir, Env: os.Environ()}, nil)
	var scene *renderer.SceneError
	if !errors.As(err, &scene) || strings.Count(scene.Text, "the curtain fell") < 1 || !strings.Contains(scene.Text, "Traceback") {
		t.Errorf("ended with %v", err)
	}
}

func TestMemoryFor(t *testing.T) {
	const gib = 1 << 30
	for _, test := range []struct {
		slots       int
		total, want int64
	}{{0, 64, 4}, {1, 64, 4}, {8, 64, 32}, {8, 8, 6}, {1, 4, 3}, {2, 0, 8}} {
		if got := memoryFor(4*gib, test.slots, uint64(test.total)*gib); got != test.want*gib {
			t.Errorf("%d slots of %d GiB: %d GiB, want %d", test.slots, test.total, got/gib, test.want)
		}
	}
}

func TestFilesFor(t *testing.T) {
	const mib = 1 << 20
	for total, want := range map[uint64]int64{0: 512, 1024: 512, 8192: 2048} {
		if got := filesFor(512*mib, total*mib); got != want*mib {
			t.Errorf("of %d MiB: %d, want %d", total, got/mib, want)
		}
	}
}

func TestHashSeedOf(t *testing.T) {
	for env, want := range map[string]string{
		"": "0", "PYTHONHASHSEED=": "0", "PYTHONHASHSEED=random": "0", "PYTHONHASHSEED=7": "7", "OTHER=1": "0",
	} {
		if got := hashSeedOf([]string{env}); got != want {
			t.Errorf("%q gives %q, want %q", env, got, want)
		}
	}
}

func TestConsoleCutsLines(t *testing.T) {
	var got []string
	var c console
	to := func(line string) { got = append(got, line) }
	c.to.Store(&to)
	for _, part := range []string{"one\ntw", "o\r\n", "\n", "three"} {
		c.Write([]byte(part))
	}
	if want := "one|two|"; strings.Join(got, "|") != want {
		t.Errorf("lines %q, want %q", strings.Join(got, "|"), want)
	}
}
