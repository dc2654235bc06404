// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const testPeer = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWEZXjE41uU4EL2gpkAQeDXYok6wghN7wwNVPF5bwkaNfS"

func number(n uint32) *uint32 { return &n }

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		args string
		want invocation
	}{
		{"scene.py", invocation{}},
		{"scene.py A B", invocation{scenes: []string{"A", "B"}}},
		{"scene.py A -pqh", invocation{preview: true, scenes: []string{"A"}}},
		{"-pqh scene.py A", invocation{preview: true, scenes: []string{"A"}}},
		{"-pq h scene.py A", invocation{preview: true, scenes: []string{"A"}}},
		{"-q H scene.py", invocation{}},
		{"--quality=k scene.py", invocation{}},
		{"scene.py -tpql -o film", invocation{preview: true, transparent: true, named: true}},
		{"scene.py -ofilm", invocation{named: true}},
		{"scene.py -o -p", invocation{named: true}}, // the value of -o, as in Manim
		{"scene.py -r 1920,1080", invocation{resolution: "1920,1080"}},
		{"scene.py -r1920-1080 --fps 29.97", invocation{resolution: "1920-1080"}},
		{"scene.py --frame_rate=60 --seed 7", invocation{}},
		{"scene.py --format GIF --progress_bar None", invocation{format: "gif", progress: "none"}},
		{"scene.py --media_dir out -v debug -s --disable_caching", invocation{}},
		{"scene.py -ql -- A -weird", invocation{scenes: []string{"A", "-weird"}}},
		{"-ql -- scene.py", invocation{}},
		{"scene.py -paql", invocation{preview: true, all: true}},
		{"scene.py -n1,3 -0 6 --save_sections", invocation{}},
		{"scene.py -n 1 --encoder-option crf=0 --encoder-option preset=slow", invocation{}},
		{"scene.py --video-codec libx265 --pixel-format yuv420p10le --renderer Cairo", invocation{}},
		{"scene.py --log_to_file --log_dir logs --no_latex_cleanup --preview_command vlc -p --show_in_file_browser", invocation{preview: true, opener: true}},
	} {
		args := strings.Fields(test.args)
		got, err := split(args)
		if err != nil {
			t.Errorf("split %q: %v", test.args, err)
			continue
		}
		test.want.script, test.want.manim = "scene.py", args
		if got.scenes == nil {
			got.scenes = test.want.scenes[:0:0]
		}
		if !slices.Equal(got.scenes, test.want.scenes) {
			t.Errorf("split %q: scenes %q", test.args, got.scenes)
		}
		got.scenes, test.want.scenes = nil, nil
		if !reflect.DeepEqual(*got, test.want) {
			t.Errorf("split %q:\n got %+v\nwant %+v", test.args, *got, test.want)
		}
	}
}

func TestSplitOwnOptions(t *testing.T) {
	args := []string{"--home", "h", "-ql", "--mesh=lab", "scene.py", "--peer", testPeer, "A", "--no-mdns", "--slots", "0",
		"--cell-frames=5", "--json", "--asset", "data/*.h5", "--python", "py", "--asset=~/x", "--peer=" + testPeer, "-p"}
	got, err := split(args)
	if err != nil {
		t.Fatal(err)
	}
	want := &invocation{
		manim: []string{"-ql", "scene.py", "A", "-p"}, script: "scene.py", scenes: []string{"A"},
		home: "h", mesh: "lab", peers: []string{testPeer, testPeer}, noMDNS: true, python: "py", slots: number(0), cellFrames: 5, json: true,
		assets: []string{"data/*.h5", "~/x"}, preview: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// What Manim does not know, or need not hear of, is not passed on.
func TestSplitPassesOn(t *testing.T) {
	for typed, want := range map[string]struct {
		manim, note string
		dryRun      bool
	}{
		"s.py -ql -i":           {"s.py -ql --format gif", "taken as --format gif", false},
		"s.py -pgql":            {"s.py -p --format png-sequence -ql", "", false},
		"s.py -pfqh":            {"s.py -p --show_in_file_browser -qh", "", false},
		"s.py --write_to_movie": {"s.py", "a film is written anyway", false},
		"s.py --silent --max-inflight-encoders 4 --encoder-queue-size=8": {"s.py", "", false},
		"s.py --notify_outdated_version --notify_outdated_version":       {"s.py", "never looks for a newer Manim", false},
		"s.py --dry_run -ql":         {"s.py -ql", "", true},
		"s.py --format=none":         {"s.py", "", true},
		"s.py --format mov --format": {},
		"- A -ql":                    {"- A -ql", "", false},
		"my.cfg":                     {"my.cfg", "", false},
	} {
		in, err := split(strings.Fields(typed))
		if want.manim == "" {
			if err == nil {
				t.Errorf("split %q: no error", typed)
			}
			continue
		}
		if err != nil {
			t.Errorf("split %q: %v", typed, err)
			continue
		}
		notes := strings.Join(in.notes, "\n")
		if got := strings.Join(in.manim, " "); got != want.manim {
			t.Errorf("split %q passes on %q, want %q", typed, got, want.manim)
		}
		if !strings.Contains(notes, want.note) || strings.Contains(notes, "\n") || in.dryRun != want.dryRun {
			t.Errorf("split %q: notes %q, dry run %v", typed, in.notes, in.dryRun)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"":                                   "no scene file is given",
		"-ql":                                "no scene file is given",
		"Scene scene.py":                     "not a Python script",
		"scene.py -qz":                       `-q "z": must be one of l, m, h, p, k`,
		"scene.py -q=l":                      `-q "=l": must be one of`,
		"scene.py -q":                        "-q needs a value: l|m|h|p|k",
		"scene.py --fps":                     "--fps needs a value",
		"scene.py --fps 0":                   "must be a number above 0",
		"scene.py --fps -5":                  "must be a number above 0",
		"scene.py --fps nan":                 "must be a number above 0",
		"scene.py --fps inf":                 "must be a number above 0",
		"scene.py --fps 0x10":                "must be a number above 0",
		"scene.py --frame_rate=x":            `--frame_rate "x"`,
		"scene.py -r 1920":                   "must be WIDTH,HEIGHT",
		"scene.py -r 1920x1080":              "must be WIDTH,HEIGHT",
		"scene.py -r 1920,-1080":             "must be WIDTH,HEIGHT",
		"scene.py -r 0,1080":                 "must be WIDTH,HEIGHT",
		"scene.py -r 99999,1080":             "must be WIDTH,HEIGHT",
		"scene.py -r 101,99 --format mp4":    "even width and height",
		"scene.py --format avi":              "must be one of auto",
		"scene.py --seed 1.5":                "must be a whole number",
		"scene.py --seed -1":                 "must be a whole number",
		"scene.py --cell-frames 0":           "must be a whole number from 1",
		"scene.py --cell-frames x":           "must be a whole number from 1",
		"scene.py --slots -1":                "must be a whole number from 0",
		"scene.py --peer 1.2.3.4":            "must be an address such as",
		"scene.py --peer /ip4/1.2.3.4/tcp/1": "must be an address such as",
		"scene.py --mesh a/b":                "must be 1 to 64 letters",
		"scene.py --json=yes":                "--json takes no value",
		"scene.py --preview=1":               "--preview takes no value",
		"scene.py -a -o film":                "-o names the result of one scene",
		"scene.py A B -o film":               "-o names the result of one scene",
		"scene.py -n x":                      `-n "x": must be A or A,B`,
		"scene.py -n 3,1":                    "B not before A",
		"scene.py -n 1,2,3":                  "must be A or A,B",
		"scene.py -n -1":                     "must be A or A,B",
		"scene.py -0 12":                     "must be a whole number from 0 to 9",
		"scene.py -c none.cfg":               "there is no such file",
		"scene.py --encoder-option crf":      "must be KEY=VALUE",
		"scene.py --renderer=opengl":         "depend on the graphics card",
		"scene.py --renderer=x":              "must be cairo",
		"scene.py --renderer":                "--renderer needs a value",
		"scene.py --flush_cache":             "is gone from Manim",
		"scene.py --fullscreen":              "needs a window",
		"scene.py --qualtiy l":               "did you mean --quality?",
		"scene.py --qualtiy=l":               "unknown option --qualtiy: did you mean --quality?",
		"scene.py --slot 2":                  "did you mean --slots?",
		"scene.py --frobnicate":              "unknown option --frobnicate: see meshnode publish --help",
		"scene.py -pz":                       "unknown option -z",
		"scene.py -\xff\xfe":                 "unknown option",
		"scene.py --":                        "",
	} {
		_, err := split(strings.Fields(args))
		if want == "" {
			if err != nil {
				t.Errorf("split %q: %v", args, err)
			}
			continue
		}
		var usage *usageError
		if !errors.As(err, &usage) {
			t.Errorf("split %q: error %v, want a usage error", args, err)
		} else if !strings.Contains(usage.text, want) || strings.Contains(usage.text, "\n") {
			t.Errorf("split %q: %q, want one line with %q", args, usage.text, want)
		}
	}
}

// TestOptions checks the table: names are written once, and every option is
// either supported, with help, or refused, with a reason.
func TestOptions(t *testing.T) {
	seen := make(map[string]bool)
	for _, opt := range options {
		for _, name := range opt.names {
			if seen[name] {
				t.Errorf("%s is listed twice", name)
			}
			seen[name] = true
			if short := strings.HasPrefix(name, "-") && !strings.HasPrefix(name, "--"); short && len(name) != 2 {
				t.Errorf("%s is not one letter", name)
			}
		}
		ignored := opt.unpassed || opt.instead != nil // known, and not recommended
		if opt.help != "" && opt.refused != "" || opt.help == "" && opt.refused == "" && !ignored {
			t.Errorf("%s needs help or a reason for refusing it", opt.names[0])
		}
		if opt.value == "" && opt.check != nil {
			t.Errorf("%s has a check but no value", opt.names[0])
		}
	}
}

// groups are options with their values, each as typed in one way.
var groups = [][]string{
	{"-pqh"}, {"--fps", "30"}, {"--resolution=640,480"}, {"-t"}, {"--home", "h"}, {"--mesh=m"}, {"--peer", testPeer},
	{"--no-mdns"}, {"--slots=3"}, {"--cell-frames", "9"}, {"--json"}, {"-n", "2,4"}, {"--seed", "4"}, {"-sv", "INFO"},
	{"--progress_bar=leave"}, {"--python", "p"}, {"--format", "mov"}, {"--asset", "*.h5"},
}

// TestSplitOrder checks that options mean the same wherever they stand.
func TestSplitOrder(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	plain := func(words []string) *invocation {
		in, err := split(words)
		if err != nil {
			t.Fatalf("seed %d: split %q: %v", seed, words, err)
		}
		slices.Sort(in.manim)
		return in
	}
	for range 500 {
		chosen := slices.Clone(groups)
		rng.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:rng.IntN(len(chosen)+1)]
		positional := []string{"scene.py", "A", "B"}
		want := plain(append(slices.Clone(positional), slices.Concat(chosen...)...))

		var words []string
		for rest := slices.Clone(chosen); len(rest)+len(positional) > 0; {
			if len(rest) == 0 || len(positional) > 0 && rng.IntN(2) == 0 {
				words, positional = append(words, positional[0]), positional[1:]
				continue
			}
			i := rng.IntN(len(rest))
			words, rest = append(words, rest[i]...), slices.Delete(rest, i, i+1)
		}
		if got := plain(words); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: split %q:\n got %+v\nwant %+v", seed, words, got, want)
		}
	}
}

// FuzzFlags checks that no command line makes split panic, that every error is
// of usage and on one line, and that Manim's arguments are those typed, in order.
func FuzzFlags(f *testing.F) {
	f.Add("scene.py\nA\n-pqh\n--home\nh\n--peer=" + testPeer)
	f.Add("-ql\n--\n-x.py\n\n-")
	f.Add("-h00")
	f.Add("-\xff\nscene.py\n--=\n--format=\n-r\n-1,1")
	f.Fuzz(func(t *testing.T, lines string) {
		args := strings.Split(lines, "\n")
		in, err := split(args)
		if err != nil {
			var usage *usageError
			if !errors.As(err, &usage) {
				t.Fatalf("split %q: %v is no usage error", args, err)
			}
			return
		}
		rest := args
		if len(in.notes) > 0 || in.help {
			return // something else is passed on in place of what was typed, or nothing
		}
		for _, arg := range in.manim {
			i := slices.Index(rest, arg)
			if i < 0 {
				t.Fatalf("split %q: passes on %q", args, in.manim)
			}
			rest = rest[i+1:]
		}
		if in.script != "-" && !strings.HasSuffix(in.script, ".py") && !strings.HasSuffix(in.script, ".cfg") {
			t.Fatalf("split %q: script %q", args, in.script)
		}
	})
}
