// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/multiformats/go-multiaddr"

	"meshnode/p2p"
)

// option is one option of publish: Manim's or meshnode's own.
type option struct {
	names []string           // as typed, "-q" or "--quality"
	value string             // what its value is called; "": it takes none
	own   bool               // of meshnode: not passed on to Manim
	help  string             // for options that are supported
	check func(string) error // of the value; nil: anything goes

	unpassed bool     // of Manim, and not passed on to it
	instead  []string // passed on in its place
	note     string   // for whoever uses it

	// refused is why publish does not take a Manim option, and what to do.
	refused string
}

// Reasons for refusing an option of Manim's.
const (
	window = "needs a window: publish shows nothing while it renders"
	openGL = "needs OpenGL: publish renders with cairo, Manim's default"
)

// options lists meshnode's own options of publish and every option of `manim
// render` in Manim 0.19 to 0.22, so that each is known by whether it takes a
// value.
var options = []option{
	{names: []string{"-h", "--help"}, own: true, help: "show this help"},
	{names: []string{"--home"}, value: "FOLDER", own: true, help: "the node's folder (default: $MESHNODE_HOME or ~/.meshnode)"},
	{names: []string{"--mesh"}, value: "NAME", own: true, check: checkMesh, help: "the mesh of a node that is started for this job"},
	{names: []string{"--secret-file"}, value: "FILE", own: true, check: checkFile, help: "code of a private mesh for such a node"},
	{names: []string{"--peer"}, value: "ADDRESS", own: true, check: checkPeer, help: "a peer for such a node to dial, /ip4/…/tcp/…/p2p/…; repeatable"},
	{names: []string{"--no-mdns"}, own: true, help: "such a node does not look for peers in the local network"},
	{names: []string{"--python"}, value: "PATH", own: true, help: "the Python with Manim to render with"},
	{names: []string{"--manim"}, value: "VERSION", own: true, help: "the version of Manim to render with (default: the newest of meshnode setup)"},
	{names: []string{"--strict"}, own: true, help: "leave out computers that draw a little differently, within the tolerance of Manim's own tests"},
	{names: []string{"--trust"}, value: "mine|spot|known|open", own: true, check: oneOf("mine", "spot", "known", "open"), help: "how much of what peers render is checked: nothing; a cell now and then; up to 16 of each; up to 34 (default: mine in a private mesh, else spot)"},
	{names: []string{"--slots"}, value: "N", own: true, check: checkSlots, help: "cells of this job rendered on this computer at a time; 0: only others render (default: all slots of the node)"},
	{names: []string{"--cell-frames"}, value: "N", own: true, check: checkCellFrames, help: "length of a cell in frames (default: a second's)"},
	{names: []string{"--asset"}, value: "GLOB", own: true, help: "files to share with the other nodes that the scene opens late or in ways that go unseen; repeatable"},
	{names: []string{"--follow"}, own: true, help: "say how to watch the film while it is rendered"},
	{names: []string{"--watch"}, own: true, help: "stay, and render again when the script or a file that it reads has changed"},
	{names: []string{"--detach"}, own: true, help: "print the job's id as soon as it is planned, and leave it to the node"},
	{names: []string{"--json"}, own: true, help: "print one JSON event a line, for programs"},

	{names: []string{"-q", "--quality"}, value: "l|m|h|p|k", check: oneOf("l", "m", "h", "p", "k"), help: "480p15, 720p30, 1080p60, 1440p60 or 2160p60"},
	{names: []string{"-r", "--resolution"}, value: "W,H", check: checkResolution, help: "width and height in pixels"},
	{names: []string{"--fps", "--frame_rate"}, value: "F", check: checkFPS, help: "frames per second"},
	{names: []string{"--format"}, value: "FORMAT", check: oneOf("auto", "none", "png", "png-sequence", "gif", "mp4", "webm", "mov"), help: "mp4, mov, webm, gif, png, png-sequence, auto or none"},
	{names: []string{"-t", "--transparent"}, help: "render with an alpha channel"},
	{names: []string{"-s", "--save_last_frame"}, help: "save the last frame only"},
	{names: []string{"-o", "--output_file"}, value: "NAME", help: "name of the result"},
	{names: []string{"--media_dir"}, value: "FOLDER", help: "folder for results and caches"},
	{names: []string{"-p", "--preview"}, help: "open the result"},
	{names: []string{"--seed"}, value: "N", check: checkSeed, help: "random seed"},
	{names: []string{"--disable_caching"}, help: "reuse nothing rendered before"},
	{names: []string{"--progress_bar"}, value: "display|leave|none", check: oneOf("display", "leave", "none"), help: "show the bar, leave it there at the end, or show none"},
	{names: []string{"-v", "--verbosity"}, value: "LEVEL", check: oneOf("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), help: "DEBUG, INFO, WARNING, ERROR or CRITICAL"},

	{names: []string{"-a", "--write_all"}, help: "render all scenes of the file"},
	{names: []string{"-n", "--from_animation_number"}, value: "A[,B]", check: checkAnimations, help: "render animations A to B only, counted from 0"},
	{names: []string{"--save_sections"}, help: "save a film of each section as well"},
	{names: []string{"-0", "--zero_pad"}, value: "N", check: func(v string) error { return checkWhole(v, 0, 9) }, help: "digits in the names of a PNG sequence"},
	{names: []string{"-c", "--config_file"}, value: "FILE", check: checkFile, help: "a manim.cfg that counts more than the others"},
	{names: []string{"--tex_template"}, value: "FILE", check: checkFile, help: "template for TeX"},
	{names: []string{"--no_latex_cleanup"}, help: "keep LaTeX's auxiliary files"},
	{names: []string{"--log_to_file"}, help: "write Manim's log to a file, too"},
	{names: []string{"--log_dir"}, value: "FOLDER", help: "folder for that"},
	{names: []string{"--show_in_file_browser"}, help: "show the result in the file browser"},
	{names: []string{"--preview_command"}, value: "COMMAND", help: "what opens the result for -p"},
	{names: []string{"--video-codec"}, value: "NAME", help: "encoder of the film (Manim 0.22)"},
	{names: []string{"--pixel-format"}, value: "NAME", help: "pixel format of the film (Manim 0.22)"},
	{names: []string{"--encoder-option"}, value: "KEY=VALUE", check: checkKeyValue, help: "option of the encoder, repeatable (Manim 0.22)"},
	{names: []string{"--renderer"}, value: "cairo", check: checkRenderer, help: "cairo only"},
	{names: []string{"--dry_run"}, unpassed: true, help: "plan only: tell frames, cells and how long it would take"},

	// Accepted, and without a meaning here.
	{names: []string{"--max-inflight-encoders"}, value: "N", check: func(v string) error { return checkWhole(v, 1, math.MaxInt32) }, unpassed: true},
	{names: []string{"--encoder-queue-size"}, value: "N", check: func(v string) error { return checkWhole(v, 1, math.MaxInt32) }, unpassed: true},
	{names: []string{"--silent"}, unpassed: true},
	{names: []string{"--notify_outdated_version"}, unpassed: true, note: "--notify_outdated_version: publish never looks for a newer Manim"},

	// Of Manim before 0.22.
	{names: []string{"-i", "--save_as_gif"}, instead: []string{"--format", "gif"}, note: "-i is gone from Manim 0.22: taken as --format gif"},
	{names: []string{"-g", "--save_pngs"}, instead: []string{"--format", "png-sequence"}, note: "-g is gone from Manim 0.22: taken as --format png-sequence"},
	{names: []string{"-f"}, instead: []string{"--show_in_file_browser"}, note: "-f is gone from Manim 0.22: taken as --show_in_file_browser"},
	{names: []string{"--write_to_movie"}, unpassed: true, note: "--write_to_movie is gone from Manim 0.22: a film is written anyway"},
	{names: []string{"--flush_cache"}, refused: "is gone from Manim: use --disable_caching, or remove partial_movie_files below the media folder"},
	{names: []string{"--custom_folders"}, refused: "is gone from Manim: use --media_dir"},

	{names: []string{"-l", "--live-preview"}, refused: window + "; -p opens the result"},
	{names: []string{"--enable_gui"}, refused: window},
	{names: []string{"--gui_location"}, value: "X,Y", refused: window},
	{names: []string{"--fullscreen"}, refused: window},
	{names: []string{"--force_window"}, refused: window},
	{names: []string{"--enable_wireframe"}, refused: window},
	{names: []string{"--use_projection_fill_shaders"}, refused: openGL},
	{names: []string{"--use_projection_stroke_shaders"}, refused: openGL},
	{names: []string{"--jupyter"}, refused: "is for notebooks: leave it out"},
}

// optionNamed returns the option with that name as typed, or nil.
func optionNamed(name string) *option {
	for i := range options {
		if slices.Contains(options[i].names, name) {
			return &options[i]
		}
	}
	return nil
}

// oneOf accepts the words, in capitals or not, as Manim does.
func oneOf(words ...string) func(string) error {
	return func(value string) error {
		for _, w := range words {
			if strings.EqualFold(w, value) {
				return nil
			}
		}
		return fmt.Errorf("must be one of %s", strings.Join(words, ", "))
	}
}

// isSeparator knows Manim's separators between two numbers.
func isSeparator(r rune) bool { return r == ',' || r == ';' || r == '-' }

func countSeparators(value string) int {
	return len(value) - len(strings.Map(func(r rune) rune {
		if isSeparator(r) {
			return -1
		}
		return r
	}, value))
}

// sides parses a resolution.
func sides(value string) (width, height int64, err error) {
	parts := strings.FieldsFunc(value, isSeparator)
	if len(parts) == 2 && countSeparators(value) == 1 {
		width, _ = pythonInt(parts[0])
		height, _ = pythonInt(parts[1])
	}
	if width < 1 || height < 1 || width > maxSide || height > maxSide {
		return 0, 0, fmt.Errorf("must be WIDTH,HEIGHT in pixels, up to %d each: 1920,1080", maxSide)
	}
	return width, height, nil
}

// checkMesh accepts what can be part of the name of a topic.
func checkMesh(value string) error {
	if p2p.CheckMesh(value) != nil {
		return fmt.Errorf("must be 1 to 64 letters, digits, dots, dashes and underscores")
	}
	return nil
}

// checkAddress accepts a multiaddr such as /ip4/0.0.0.0/tcp/4001.
func checkAddress(value string) error {
	if _, err := multiaddr.NewMultiaddr(value); err != nil {
		return fmt.Errorf("must be an address such as /ip4/0.0.0.0/tcp/4001")
	}
	return nil
}

// checkPeer accepts the full address of a peer, as meshnode run prints it.
func checkPeer(value string) error {
	a, err := multiaddr.NewMultiaddr(value)
	if err == nil {
		_, err = a.ValueForProtocol(multiaddr.P_P2P)
	}
	if err != nil {
		return fmt.Errorf("must be an address such as /ip4/192.168.1.5/tcp/4001/p2p/12D3KooW…, as \"meshnode run\" prints it")
	}
	return nil
}

// maxSide is the largest width or height of H.264 and VP9 encoders, in pixels.
const maxSide = 16384

func checkResolution(value string) error {
	_, _, err := sides(value)
	return err
}

func checkFPS(value string) error {
	f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || !(f > 0) || math.IsInf(f, 0) || strings.ContainsAny(value, "xX") {
		return fmt.Errorf("must be a number above 0")
	}
	return nil
}

// checkSeed allows what numpy.random.seed takes.
func checkSeed(value string) error {
	if n, ok := pythonInt(value); !ok || n < 0 || n > math.MaxUint32 {
		return fmt.Errorf("must be a whole number from 0 to %d", uint32(math.MaxUint32))
	}
	return nil
}

// checkAnimations accepts "A" and "A,B" with Manim's separators.
func checkAnimations(value string) error {
	parts := strings.FieldsFunc(value, isSeparator)
	ok := len(parts) >= 1 && len(parts) <= 2 && countSeparators(value) == len(parts)-1
	var last int64
	for _, part := range parts {
		n, isNumber := pythonInt(part)
		ok = ok && isNumber && n >= last
		last = n
	}
	if !ok {
		return fmt.Errorf("must be A or A,B, numbers of animations counted from 0, and B not before A")
	}
	return nil
}

func checkFile(value string) error {
	info, err := os.Stat(value)
	if err != nil || info.IsDir() {
		return fmt.Errorf("there is no such file")
	}
	return nil
}

func checkKeyValue(value string) error {
	key, v, ok := strings.Cut(value, "=")
	if !ok || strings.TrimSpace(key) == "" || v == "" {
		return fmt.Errorf("must be KEY=VALUE")
	}
	return nil
}

func checkRenderer(value string) error {
	if strings.EqualFold(value, "opengl") {
		return fmt.Errorf("is not supported: its frames depend on the graphics card, so computers would not draw alike")
	}
	if !strings.EqualFold(value, "cairo") {
		return fmt.Errorf("must be cairo")
	}
	return nil
}

func checkSlots(value string) error { return checkWhole(value, 0, 1024) }

func checkCellFrames(value string) error { return checkWhole(value, 1, 1_000_000) }

func checkWhole(value string, least, most uint64) error {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n < least || n > most {
		return fmt.Errorf("must be a whole number from %d to %d", least, most)
	}
	return nil
}

// pythonInt reads a number as Python's int() does: spaces around it, and single
// underscores between digits.
func pythonInt(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	digits := strings.TrimLeft(text, "+-")
	if strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") || strings.Contains(digits, "__") {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	return n, err == nil
}
