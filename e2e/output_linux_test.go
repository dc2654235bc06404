// SPDX-License-Identifier: MIT

package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What Manim makes of a scene besides the frames of its film, rendered by other
// computers than the submitter: sections, sound, subtitles, other formats and
// rates, parts of scenes, scripts and settings from elsewhere.
func TestSameOutputsAsManim(t *testing.T) {
	lossless := []string{"-t", "--format", "mov"}
	for name, c := range map[string]struct {
		args     []string
		typed    bool // the script comes from standard input
		lossless bool
	}{
		"sections":                  {args: []string{"chapters.py", "Chapters", "-ql", "--save_sections"}},
		"webm at 29.97":             {args: []string{"chapters.py", "Chapters", "-ql", "--format", "webm", "--fps", "29.97"}},
		"webm with alpha":           {args: []string{"chapters.py", "Chapters", "-ql", "--format", "webm", "-t", "--save_sections"}},
		"gif with alpha":            {args: []string{"chapters.py", "Chapters", "-ql", "--format", "gif", "-t"}, lossless: true},
		"gif":                       {args: []string{"chapters.py", "Chapters", "-ql", "--format", "gif"}},
		"odd size, other settings":  {args: append([]string{"chapters.py", "Chapters", "-c", "blue.cfg", "-r", "161,91"}, lossless...), lossless: true},
		"some animations":           {args: append([]string{"scenes.py", "Following", "-ql", "-n", "1,2"}, lossless...), lossless: true},
		"pictures with long names":  {args: []string{"chapters.py", "Second", "-ql", "--format", "png-sequence", "-0", "7"}, lossless: true},
		"another encoder":           {args: []string{"chapters.py", "Second", "-ql", "--encoder-option", "crf=0", "--pixel-format", "yuv444p"}, lossless: true},
		"last frame":                {args: []string{"chapters.py", "Chapters", "-ql", "-s"}, lossless: true},
		"script from elsewhere":     {args: append([]string{"-", "Chapters", "-ql"}, lossless...), typed: true, lossless: true},
		"all scenes":                {args: append([]string{"chapters.py", "-ql", "-a"}, "--save_sections")},
		"two scenes, log in a file": {args: []string{"chapters.py", "Second", "Third", "-ql", "--log_to_file"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := houseOf(t)
			args := append([]string{"--seed", "7", "--progress_bar", "none"}, c.args...)
			var script string
			if c.typed {
				text, err := os.ReadFile(filepath.Join(project(), "chapters.py"))
				if err != nil {
					t.Fatal(err)
				}
				script = "from manim import *\n" + string(text)
			}
			media, a := stockTyped(t, script, args...)
			if a.code != 0 {
				t.Fatalf("stock Manim: exit code %d\n%s%s", a.code, a.out, a.err)
			}
			p := m.computers[0].publishTyped(script, append([]string{"--cell-frames", "5", "--slots", "0"}, args...)...)
			e := p.finished()
			compare(t, artefactsIn(t, media), artefactsIn(t, p.media), c.lossless)
			frames, kept := 0, 0
			for _, e := range p.events { // complete: it has ended
				kept += e.Kept
			}
			for _, other := range m.computers[1:3] {
				frames += e.by(other.name())
			}
			if still := slices.Contains(args, "-s"); frames == 0 && kept == 0 && !still {
				t.Errorf("the other computers rendered no frame: %+v", e.Nodes)
			}
		})
	}
}

// With -n, the frames are those of the whole film: plays before it are gone
// through like any other. (Manim itself skips them, and updaters end elsewhere.)
func TestSomeAnimations(t *testing.T) {
	m := houseOf(t)
	lossless := []string{"--seed", "7", "--progress_bar", "none", "-ql", "-t", "--format", "mov", "scenes.py", "Motion"}
	media, a := stock(t, lossless...)
	if a.code != 0 {
		t.Fatalf("stock Manim: exit code %d\n%s%s", a.code, a.out, a.err)
	}
	const film = "videos/scenes/480p15/Motion.mov"
	p := m.computers[0].publish(append([]string{"--cell-frames", "5", "--slots", "0", "-n", "2,4"}, lossless...)...)
	p.finished()
	whole, part := pixels(artefactsIn(t, media)[film]), pixels(artefactsIn(t, p.media)[film])
	// Plays 0 and 1 have 18 and 9 frames; plays 2 to 4 have 15, 21 and 11.
	const first, frames = 27, 47
	if len(part) != frames || !slices.Equal(part, whole[first:first+frames]) {
		t.Errorf("%d frames, which are not the frames %d to %d of the whole film", len(part), first, first+frames)
	}
}

// pixels returns the frames of a film without their times.
func pixels(lines []string) []string {
	var out []string
	for _, line := range lines[min(1, len(lines)):] {
		_, sum, _ := strings.Cut(line, " ")
		out = append(out, sum)
	}
	return out
}

// A plan alone: what there would be to render, and nothing else happens.
func TestDryRun(t *testing.T) {
	m := houseOf(t)
	p := m.computers[0].publish("--dry_run", "-ql", "chapters.py", "-a")
	e := p.finished()
	scenes := map[string]int{}
	for _, e := range p.events {
		if e.Event == "planned" {
			scenes[e.Scene] = e.Frames
		}
	}
	// At 15 frames a second: 0.8, 0.6, 1 and 0.4 s; 0.6 s; a still.
	if want := (map[string]int{"Chapters": 12 + 9 + 15 + 6, "Second": 9, "Third": 0}); !maps.Equal(scenes, want) {
		t.Errorf("planned %v, want %v", scenes, want)
	}
	if e.File != "" {
		t.Errorf("a dry run leaves %s", e.File)
	}
	if left, err := os.ReadDir(filepath.Join(p.media, "videos")); err == nil && len(left) > 0 {
		t.Errorf("a dry run leaves %v", left)
	}
	if strings.Contains(m.computers[1].log(), "Chapters") || len(m.computers[1].openJobs()) > 0 {
		t.Error("the other node has heard of it")
	}
}

// Scenes that fail do not keep others of the file from being rendered.
func TestSomeScenesFail(t *testing.T) {
	m := houseOf(t)
	media := folder(t)
	a := m.computers[0].do("publish", "--media_dir", media, "-ql", "--progress_bar", "none", "scenes.py", "Broken", "Following", "Missing")
	if a.code != 1 || !strings.Contains(a.err, "2 of 3 scenes were not rendered: Broken, Missing") {
		t.Errorf("exit code %d:\n%s", a.code, a.err)
	}
	if count(a.err, "ArithmeticError: the scene's own mistake") != 1 {
		t.Errorf("the traceback is not printed once:\n%s", a.err)
	}
	if _, err := os.Stat(filepath.Join(media, "videos", "scenes", "480p15", "Following.mp4")); err != nil {
		t.Error(err)
	}
}
