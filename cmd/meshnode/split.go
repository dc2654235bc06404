// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// invocation is a parsed command line of publish.
type invocation struct {
	manim  []string // Manim's arguments as typed, but for what it need not or does not know
	script string   // "-": standard input
	scenes []string
	notes  []string // for the user

	progress    string // of --progress_bar: display, leave, none, or "" for display
	transparent bool
	all         bool // scenes
	named       bool // the result, with -o
	dryRun      bool
	preview     bool
	opener      bool     // the user has said what opens the result
	settings    []string // files that Manim reads its settings from
	format      string
	resolution  string

	home       string
	mesh       string
	secretFile string
	peers      []string
	noMDNS     bool
	python     string
	version    string // of Manim
	strict     bool
	trust      string
	slots      *uint32
	cellFrames uint32
	assets     []string
	follow     bool
	watch      bool
	again      bool // it is not the first time
	detach     bool
	json       bool
	help       bool
}

// split parses the arguments of publish as Manim's own command line does:
// options stand before, between or behind the file and the scenes; short ones
// combine, the last with its value ("-pqh"); long ones take theirs behind "="
// or as the next argument, whatever that looks like; "--" ends the options. All
// errors are usage errors.
func split(args []string) (*invocation, error) {
	in, files, err := parse(args)
	if err != nil || in.help {
		return in, err
	}
	return in, in.finish(files)
}

// parse is split without a look at what was named: the file, and the scenes.
func parse(args []string) (in *invocation, files []string, err error) {
	in = new(invocation)
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			in.manim = append(in.manim, args[i:]...)
			files = append(files, args[i+1:]...)
			i = len(args)
		case len(arg) < 2 || arg[0] != '-':
			in.manim = append(in.manim, arg)
			files = append(files, arg)
		case strings.HasPrefix(arg, "--"):
			used, err := in.long(arg, args[i+1:])
			if err != nil {
				return nil, nil, err
			}
			i += used
		default:
			used, err := in.short(arg, args[i+1:])
			if err != nil {
				return nil, nil, err
			}
			i += used
		}
	}
	return in, files, nil
}

// long takes one "--name" or "--name=value" and returns how many of the
// arguments behind it belong to it.
func (in *invocation) long(arg string, rest []string) (int, error) {
	name, value, joined := strings.Cut(arg, "=")
	opt := optionNamed(name)
	switch {
	case opt == nil:
		return 0, unknownOption(name)
	case opt.value == "" && joined:
		return 0, usagef("%s takes no value", name)
	case opt.value == "" || joined:
		return 0, in.take(opt, name, value, arg)
	case len(rest) == 0:
		return 0, usagef("%s needs a value: %s", name, opt.value)
	}
	return 1, in.take(opt, name, rest[0], arg, rest[0])
}

// short takes a run of short options such as "-pqh" and returns how many of the
// arguments behind it belong to it. What is passed on is passed on as typed,
// unless one of them is not.
func (in *invocation) short(arg string, rest []string) (used int, err error) {
	before, asTyped := len(in.manim), true
	for run := arg[1:]; run != "" && err == nil; {
		_, size := utf8.DecodeRuneInString(run)
		name := "-" + run[:size]
		run = run[size:]
		opt := optionNamed(name)
		if opt == nil {
			return 0, unknownOption(name)
		}
		asTyped = asTyped && !opt.own && !opt.unpassed && opt.instead == nil
		switch {
		case opt.value == "":
			err = in.take(opt, name, "", name)
		case run != "":
			err = in.take(opt, name, run, name+run)
			run = ""
		case len(rest) == 0:
			return 0, usagef("%s needs a value: %s", name, opt.value)
		default:
			err = in.take(opt, name, rest[0], name, rest[0])
			used = 1
		}
	}
	if asTyped {
		in.manim = append(in.manim[:before], arg)
		in.manim = append(in.manim, rest[:used]...)
	}
	return used, err
}

// take records an option, and passes on what Manim is to hear of it.
func (in *invocation) take(opt *option, name, value string, typed ...string) error {
	switch {
	case opt.instead != nil:
		in.manim = append(in.manim, opt.instead...)
	case opt.names[0] == "--format" && strings.EqualFold(value, "none"):
		in.dryRun = true // a result of no format is none
	case !opt.own && !opt.unpassed:
		in.manim = append(in.manim, typed...)
	}
	if opt.note != "" && !slices.Contains(in.notes, opt.note) {
		in.notes = append(in.notes, opt.note)
	}
	return in.set(opt, name, value)
}

// set checks the value of an option and keeps what this command needs of it.
func (in *invocation) set(opt *option, name, value string) error {
	if opt.refused != "" {
		return usagef("%s %s", name, opt.refused)
	}
	if opt.check != nil {
		if err := opt.check(value); err != nil {
			return usagef("%s %q: %v", name, value, err)
		}
	}
	switch opt.names[0] {
	case "-h":
		in.help = true
	case "--home":
		in.home = value
	case "--mesh":
		in.mesh = value
	case "--secret-file":
		abs, err := filepath.Abs(value) // the node runs in another folder
		if err != nil {
			return fmt.Errorf("find %s: %w", value, err)
		}
		in.secretFile = abs
	case "--peer":
		in.peers = append(in.peers, value)
	case "--no-mdns":
		in.noMDNS = true
	case "--python":
		in.python = value
	case "--manim":
		in.version = value
	case "--strict":
		in.strict = true
	case "--trust":
		in.trust = strings.ToLower(value)
	case "--slots":
		n, _ := strconv.ParseUint(value, 10, 32) // checked
		slots := uint32(n)
		in.slots = &slots
	case "--cell-frames":
		n, _ := strconv.ParseUint(value, 10, 32) // checked
		in.cellFrames = uint32(n)
	case "--asset":
		in.assets = append(in.assets, value)
	case "--follow":
		in.follow = true
	case "--watch":
		in.watch = true
	case "--detach":
		in.detach = true
	case "--json":
		in.json = true
	case "--progress_bar":
		in.progress = strings.ToLower(value)
	case "--dry_run":
		in.dryRun = true
	case "-a":
		in.all = true
	case "-o":
		in.named = true
	case "-p":
		in.preview = true
	case "--preview_command":
		in.opener = true
	case "-c", "--tex_template":
		in.settings = append(in.settings, value)
	case "-t":
		in.transparent = true
	case "--format":
		in.format = strings.ToLower(value)
	case "-r":
		in.resolution = value
	}
	return nil
}

// finish checks what can only be known when all arguments are.
func (in *invocation) finish(files []string) error {
	if len(files) == 0 {
		return usagef("no scene file is given: meshnode publish scene.py SCENE")
	}
	in.script, in.scenes = files[0], files[1:]
	if ext := filepath.Ext(in.script); in.script != "-" && ext != ".py" && ext != ".cfg" {
		return usagef("%s: not a Python script: the first argument is the scene's file, ending in .py", in.script)
	}
	if in.named && (in.all || len(in.scenes) > 1) {
		return usagef("-o names the result of one scene: leave it out, or name one scene")
	}
	if in.detach && in.dryRun {
		return usagef("--detach: a plan alone leaves nothing to go on with: leave it out")
	}
	if in.watch && (in.detach || in.dryRun || in.script == "-") {
		return usagef("--watch renders a script again and again: leave out --detach and --dry_run, and name a file")
	}
	if in.resolution != "" && !in.transparent && (in.format == "mp4" || in.format == "gif") {
		width, height, _ := sides(in.resolution) // checked
		if width%2 != 0 || height%2 != 0 {
			return usagef("-r %q: --format %s needs an even width and height", in.resolution, in.format)
		}
	}
	return nil
}

// unknownOption suggests what was meant. The dashes are no part of the word.
func unknownOption(name string) error {
	if word, long := strings.CutPrefix(name, "--"); long {
		var words []string
		for _, opt := range options {
			for _, n := range opt.names {
				words = append(words, strings.TrimLeft(n, "-"))
			}
		}
		if near := closest(word, words); near != "" {
			return usagef("unknown option %s: did you mean --%s?", name, near)
		}
	}
	return usagef("unknown option %s: see meshnode publish --help", name)
}
