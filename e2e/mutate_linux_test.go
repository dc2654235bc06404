// SPDX-License-Identifier: MIT

package e2e

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var mutating = flag.Bool("mutate", false, "publish a film after each of many edits: see make mutate")

// mutation is a change of the film in testdata/mutate.
type mutation struct {
	name     string
	file     string // that is changed; "": film.py
	old, new string
	files    int      // the number of the files that it opens; 0: 1
	flags    []string // more options of the command
}

// mutations are made one after the other, each of the film as it is.
var mutations = []mutation{
	{name: "none"},
	{name: "a comment", old: "class Leaf", new: "# A comment.\nclass Leaf"},
	{name: "a colour, a global", old: "TINT = BLUE", new: "TINT = GREEN"},
	{name: "another global", old: "SPEED = 0.6", new: "SPEED = 0.8"},
	{name: "a helper module", file: "helper.py", old: "SIDE = 2", new: "SIDE = 3"},
	{name: "the bytes of a picture, a numpy file and a background picture, none drawn", files: 2, old: `"picture", "data", `, new: ""},
	{name: "the bytes of a picture and of a numpy file", files: 3},
	{name: "a font", old: `font="DejaVu Sans"`, new: `font="DejaVu Serif"`},
	{name: "a word", old: `Text("Words"`, new: `Text("Other words"`},
	{name: "a formula", old: `MathTex("x^2")`, new: `MathTex("x^3")`},
	{name: "a shape of one's own", old: "np.sin(3 * x)", new: "np.cos(3 * x)"},
	{name: "what draws itself", old: "[1, 1, 1, 0.5]", new: "[1, 1, 0, 0.5]"},
	{name: "an updater", old: "m.shift(RIGHT * dt)", new: "m.shift(UP * dt)"},
	{name: "more chance before", old: "    def chance(self):\n", new: "    def chance(self):\n        random.random()\n"},
	{name: "z_index", old: "set_z_index(1)", new: "set_z_index(-1)"},
	{name: "a gradient", old: "set_fill([YELLOW, GREEN])", new: "set_fill([YELLOW, PURPLE])"},
	{name: "a gradient's direction", old: "set_fill([YELLOW, GREEN])", new: "set_fill([YELLOW, GREEN]).set_sheen_direction(RIGHT)"},
	{name: "opacity 0", old: "fill_opacity=0.7)", new: "fill_opacity=0)"},
	{name: "a stroke's width", old: "stroke_width=20", new: "stroke_width=30"},
	{name: "a joint", old: "LineJointType.ROUND", new: "LineJointType.BEVEL"},
	{name: "the camera's way", old: "scale(0.7)", new: "scale(0.6)"},
	{name: "the last play", old: "Triangle()", new: "Star()"},
	{name: "the last play's length", old: "FadeIn(Triangle()), run_time=0.6", new: "FadeIn(Triangle()), run_time=0.8"},
	{name: "a rate function", old: "FadeIn(Triangle()), run_time=0.6", new: "FadeIn(Triangle(), rate_func=linear), run_time=0.6"},
	{name: "a play less", old: `"words", `, new: ""},
	{name: "plays in another order", old: `"words", "formula"`, new: `"formula", "words"`},
	{name: "a play more at the beginning", old: "        for part in", new: "        self.play(FadeIn(Dot()), run_time=0.4)\n        self.clear()\n        for part in"},
	{name: "a picture behind a shape", old: "Create(Leaf(stroke_width=4))", new: `Create(Leaf(stroke_width=40).color_using_background_image(str(HERE / "ground.png")))`},
	{name: "the bytes of the picture behind a shape", old: "Create(Leaf(stroke_width=4))", new: `Create(Leaf(stroke_width=40).color_using_background_image(str(HERE / "ground.png")))`, files: 4},
	{name: "a getter of one's own", old: "    def generate_points", new: "    def get_stroke_width(self, background=False):\n        return 0 if background else 15\n\n    def generate_points"},
	{name: "points as a property", old: "    def generate_points", new: "    @property\n    def points(self):\n        return self.__dict__[\"points\"]\n\n    @points.setter\n    def points(self, value):\n        self.__dict__[\"points\"] = np.array(value) + [0, 0.1, 0]\n\n    def generate_points"},
	{name: "a width as a property", old: "    def generate_points", new: "    @property\n    def stroke_width(self):\n        return 15\n\n    @stroke_width.setter\n    def stroke_width(self, value):\n        pass\n\n    def generate_points"},
	{name: "a method of an instance", old: "        front = Square(fill_opacity=1, color=RED).set_z_index(1)\n", new: "        front = Square(fill_opacity=1, color=RED).set_z_index(1)\n        front.get_fill_rgbas = lambda: np.array([[0, 0, 1, 1.0]])\n"},
	{name: "a method of Manim's", old: "class Leaf", new: "def thick(self, background=False, width=VMobject.get_stroke_width):\n    return 2 * width(self, background)\n\n\nVMobject.get_stroke_width = thick\n\n\nclass Leaf"},
	{name: "a method of Manim's camera", old: "class Leaf", new: "Camera.get_fill_rgbas = lambda self, m: m.get_fill_rgbas()[:, [2, 1, 0, 3]]\n\n\nclass Leaf"},
	{name: "a default of Manim's", old: "class Leaf", new: "Triangle.set_default(color=PINK)\n\n\nclass Leaf"},
	{name: "a method of Manim's, during a play", old: "        dot = Dot()\n", new: "        dot = Dot()\n        dot.add_updater(lambda m, dt: setattr(Dot, \"get_fill_rgbas\", lambda self: np.array([[1, 0, 0, 1.0]])))\n"},
	{name: "the background of the camera", old: "        self.wait(0.4)\n", new: "        self.camera.background_color = DARK_BLUE\n        self.wait(0.4)\n"},
	{name: "the configuration", file: "film.cfg", old: "BLACK", new: "DARK_BROWN"},
	{name: "the seed", flags: []string{"--seed", "8"}},
	{name: "the frame rate", flags: []string{"--fps", "20"}},
	{name: "the resolution", flags: []string{"-r", "320,180"}},
	{name: "none, at last"},
}

// After each edit, on a node that has the film of before it, the film is stock
// Manim's; and once more without one, and then nothing is rendered. It is for make
// mutate, and prints the table of docs/storage.md.
func TestMutate(t *testing.T) {
	if !*mutating {
		t.Skip("see make mutate")
	}
	m := newMesh(t, 1)
	c := m.computers[0].withManim().start("--slots", "2")
	var table strings.Builder
	for _, e := range mutations {
		t.Run(e.name, func(t *testing.T) {
			m.t = t
			defer e.make(t)()
			args := append([]string{"--config_file", "mutate/film.cfg", "-ql", "-t", "--format", "mov", "--seed", "7", "--progress_bar", "none", "mutate/film.py", "Film"}, e.flags...)
			media, a := stock(t, args...)
			if a.code != 0 {
				t.Fatalf("stock Manim: exit code %d\n%s%s", a.code, a.out, a.err)
			}
			film := func(media string) artefacts {
				all := artefactsIn(t, media)
				maps.DeleteFunc(all, func(name string, _ []string) bool { return strings.Contains(name, "partial_movie_files") })
				return all
			}
			want := film(media)
			var rendered []int
			cells := 0
			for range 2 {
				p := c.publish(args...)
				p.finished()
				planned := p.planned()
				cells = planned.Cells
				rendered = append(rendered, cells-planned.Kept)
				compare(t, want, film(p.media), true)
			}
			if rendered[1] > 0 {
				t.Errorf("%d cells are rendered again without an edit", rendered[1])
			}
			fmt.Fprintf(&table, "| %s | %d | %d | %d |\n", e.name, cells, rendered[0], rendered[1])
		})
	}
	m.t = t
	t.Logf("cells of the film, rendered after the edit, and once more:\n%s", &table)
}

// make makes the edit, and returns what undoes it.
func (e mutation) make(t *testing.T) (undo func()) {
	t.Helper()
	name := filepath.Join(project(), "mutate", "film.py")
	if e.file != "" {
		name = filepath.Join(filepath.Dir(name), e.file)
	}
	was, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(was), e.old) != 1 && e.old != "" {
		t.Fatalf("%q is not once in %s", e.old, name)
	}
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(string(was), e.old, e.new, 1))
	cmd := exec.Command(python(), filepath.Join(project(), "mutate", "files.py"), fmt.Sprint(max(e.files, 1)))
	cmd.Env = slices.Clone(environment())
	if a := finish(t, cmd); a.code != 0 {
		t.Fatalf("files.py: %s", a.err)
	}
	return func() { write(string(was)) }
}
