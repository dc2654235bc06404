// SPDX-License-Identifier: MIT

package e2e

import (
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// needPlugin skips the test where the Python under test lacks a package: "make
// plugins" has them.
func needPlugin(t *testing.T, module string, programs ...string) {
	t.Helper()
	needManim(t)
	cmd := exec.Command(python(), "-c", "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))", module)
	if err := cmd.Run(); err != nil {
		t.Skipf("no %s for %s", module, python())
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(err)
		}
	}
}

// A deck of manim-slides is that of stock Manim: the description, and each
// slide's film, forwards and backwards.
func TestPluginSlides(t *testing.T) {
	needPlugin(t, "manim_slides")
	m := houseOf(t)
	args := []string{"-ql", "--seed", "7", "--progress_bar", "none", "deck.py", "Deck"}
	decks := []string{folder(t), folder(t)}
	_, a := stockWith(t, []string{"DECK=" + decks[0]}, "", args...)
	if a.code != 0 {
		t.Fatalf("stock Manim: exit code %d\n%s%s", a.code, a.out, a.err)
	}
	first := m.computers[0]
	first.env = []string{"DECK=" + decks[1]}
	defer func() { first.env = nil }()
	e := first.publish(append([]string{"--slots", "0"}, args...)...).finished()
	if e.by("pc2") == 0 || e.by("pc3") == 0 {
		t.Errorf("pc2 and pc3 should have rendered: %+v", e.Nodes)
	}
	var texts []string
	var films []artefacts
	for _, deck := range decks {
		text, err := os.ReadFile(filepath.Join(deck, "Deck.json"))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.ReplaceAll(string(text), deck, "DECK"))
		// artefacts.py looks into a media folder's "videos".
		media := folder(t)
		if err := os.Rename(filepath.Join(deck, "files"), filepath.Join(media, "videos")); err != nil {
			t.Fatal(err)
		}
		films = append(films, artefactsIn(t, media))
	}
	if texts[0] != texts[1] {
		t.Errorf("the deck is\n%s\nof stock Manim\n%s", texts[1], texts[0])
	}
	if len(films[0]) != 10 {
		t.Errorf("stock Manim made %d films of slides", len(films[0]))
	}
	sameTimes(t, films[0], films[1])
}

// sameTimes compares films by their names, their numbers of frames, and times to
// a millisecond: stock Manim rounds the length of a play to that, up or down as
// the number of its encoder's threads, the computer's cores, has it.
func sameTimes(t *testing.T, want, got artefacts) {
	t.Helper()
	if w, g := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); !slices.Equal(w, g) {
		t.Fatalf("films: %q, of stock Manim: %q", g, w)
	}
	for name, w := range want {
		g := got[name]
		if len(g) != len(w) {
			t.Errorf("%s: %d frames, of stock Manim: %d", name, len(g)-1, len(w)-1)
			continue
		}
		for i := 1; i < len(w); i++ {
			a, _ := strconv.ParseFloat(timeOf(w[i]), 64)
			b, err := strconv.ParseFloat(timeOf(g[i]), 64)
			if err != nil || math.Abs(a-b) > 0.001 {
				t.Errorf("%s: frame %d at %v, of stock Manim at %v (%v)", name, i-1, b, a, err)
				break
			}
		}
	}
}

// A narration of manim-voiceover is spoken once, where the scene is planned: the
// film has the sound, subtitles and times of stock Manim's.
func TestPluginVoiceover(t *testing.T) {
	needPlugin(t, "manim_voiceover", "espeak-ng", "sox", "ffmpeg")
	m := houseOf(t)
	args := []string{"-ql", "--seed", "7", "--progress_bar", "none", "speech.py", "Speech"}
	speak := []string{"MAY_SPEAK=1"}
	media, a := stockWith(t, speak, "", args...)
	if a.code != 0 {
		t.Fatalf("stock Manim: exit code %d\n%s%s", a.code, a.out, a.err)
	}
	first := m.computers[0]
	first.env = speak
	defer func() { first.env = nil }()
	p := first.publish(append([]string{"--slots", "0"}, args...)...)
	e := p.finished()
	if e.by("pc2") == 0 || e.by("pc3") == 0 {
		t.Errorf("pc2 and pc3 should have rendered: %+v", e.Nodes)
	}
	want, got := artefactsIn(t, media), artefactsIn(t, p.media)
	const subtitles = "videos/speech/480p15/Speech.srt"
	if len(want[subtitles]) == 0 || !slices.Equal(want[subtitles], got[subtitles]) {
		t.Errorf("the subtitles are %q, of stock Manim %q", got[subtitles], want[subtitles])
	}
	delete(want, subtitles)
	delete(got, subtitles)
	for name := range want { // the sound alone is compared below
		if strings.HasSuffix(name, ".wav") {
			delete(want, name)
			delete(got, name)
		}
	}
	sameTimes(t, want, got)
	if w, g := sound(t, media), sound(t, p.media); w != g {
		t.Errorf("the sound is %s, of stock Manim %s", g, w)
	}
}

// sound returns a hash of what is heard in the one film of a media folder.
func sound(t *testing.T, media string) string {
	t.Helper()
	films, err := filepath.Glob(filepath.Join(media, "videos", "*", "*", "*.mp4"))
	if err != nil || len(films) != 1 {
		t.Fatalf("%s has films %q (%v)", media, films, err)
	}
	a := finish(t, exec.Command("ffmpeg", "-v", "error", "-i", films[0], "-map", "0:a", "-f", "md5", "-"))
	if a.code != 0 {
		t.Fatal(fmt.Errorf("ffmpeg: %s", a.err))
	}
	return a.out
}
