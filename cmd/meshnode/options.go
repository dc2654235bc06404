// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"math"
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
	// refused is why publish does not take a Manim option, and what to do.
	refused string
}

// Reasons for refusing an option of Manim's.
const (
	later    = "is not supported yet"
	window   = "needs a window: publish shows nothing while it renders"
	useless  = "has no use here: leave it out"
	noUpdate = "has no use here, as publish never looks for new versions: leave it out"
)

// options lists meshnode's own options of publish and every option of `manim
// render` in Manim 0.19 to 0.22, so that each is known by whether it takes a
// value.
var options = []option{
	{names: []string{"-h", "--help"}, own: true, help: "show this help"},
	{names: []string{"--home"}, value: "FOLDER", own: true, help: "the node's folder (default: $MESHNODE_HOME or ~/.meshnode)"},
	{names: []string{"--mesh"}, value: "NAME", own: true, check: checkMesh, help: "the mesh of a node that is started for this job"},
	{names: []string{"--peer"}, value: "ADDRESS", own: true, check: checkPeer, help: "a peer for such a node to dial, /ip4/…/tcp/…/p2p/…; repeatable"},
	{names: []string{"--no-mdns"}, own: true, help: "such a node does not look for peers in the local network"},
	{names: []string{"--python"}, value: "PATH", own: true, help: "the Python with Manim that such a node uses"},
	{names: []string{"--slots"}, value: "N", own: true, check: checkSlots, help: "cells of this job rendered on this computer at a time; 0: only others render (default: all slots of the node)"},
	{names: []string{"--cell-frames"}, value: "N", own: true, check: checkCellFrames, help: "length of a cell in frames (default: a second's)"},
	{names: []string{"--asset"}, value: "GLOB", own: true, help: "files to share with the other nodes that the scene opens late or in ways that go unseen; repeatable"},
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

	{names: []string{"-a", "--write_all"}, refused: later + ": name one scene"},
	{names: []string{"-n", "--from_animation_number"}, value: "A,B", refused: later},
	{names: []string{"--save_sections"}, refused: later},
	{names: []string{"-0", "--zero_pad"}, value: "N", refused: later},
	{names: []string{"-c", "--config_file"}, value: "FILE", refused: later + ": Manim reads manim.cfg beside the script"},
	{names: []string{"--tex_template"}, value: "FILE", refused: later + ": set config.tex_template in the script"},
	{names: []string{"--no_latex_cleanup"}, refused: later},
	{names: []string{"--log_dir"}, value: "FOLDER", refused: later},
	{names: []string{"--log_to_file"}, refused: later},
	{names: []string{"--show_in_file_browser", "-f"}, refused: later + ": -p opens the result"},
	{names: []string{"--preview_command"}, value: "COMMAND", refused: later + ": -p opens the result"},
	{names: []string{"--dry_run"}, refused: later},
	{names: []string{"--video-codec"}, value: "NAME", refused: later},
	{names: []string{"--pixel-format"}, value: "NAME", refused: later},
	{names: []string{"--encoder-option"}, value: "KEY=VALUE", refused: later},
	{names: []string{"--renderer"}, value: "NAME", refused: later + ": publish renders with cairo, Manim's default"},
	{names: []string{"--max-inflight-encoders"}, value: "N", refused: useless},
	{names: []string{"--encoder-queue-size"}, value: "N", refused: useless},
	{names: []string{"--notify_outdated_version"}, refused: noUpdate},
	{names: []string{"--silent"}, refused: noUpdate},
	{names: []string{"-l", "--live-preview"}, refused: window + "; -p opens the result"},
	{names: []string{"--enable_gui"}, refused: window},
	{names: []string{"--gui_location"}, value: "X,Y", refused: window},
	{names: []string{"--fullscreen"}, refused: window},
	{names: []string{"--force_window"}, refused: window},
	{names: []string{"--enable_wireframe"}, refused: window},
	{names: []string{"--use_projection_fill_shaders"}, refused: "needs OpenGL: publish renders with cairo, Manim's default"},
	{names: []string{"--use_projection_stroke_shaders"}, refused: "needs OpenGL: publish renders with cairo, Manim's default"},
	{names: []string{"--jupyter"}, refused: "is for notebooks: leave it out"},
	{names: []string{"-i", "--save_as_gif"}, refused: "is gone from Manim: use --format gif"},
	{names: []string{"-g", "--save_pngs"}, refused: "is gone from Manim: use --format png-sequence"},
	{names: []string{"--write_to_movie"}, refused: "is gone from Manim: leave it out"},
	{names: []string{"--flush_cache"}, refused: "is gone from Manim: use --disable_caching"},
	{names: []string{"--custom_folders"}, refused: "is gone from Manim: use --media_dir"},
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

// sides parses a resolution with Manim's separators.
func sides(value string) (width, height int64, err error) {
	parts := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ';' || r == '-' })
	if len(parts) == 2 && strings.Count(value, ",")+strings.Count(value, ";")+strings.Count(value, "-") == 1 {
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
