// SPDX-License-Identifier: MIT

package main

import (
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// invocation is a parsed command line of publish.
type invocation struct {
	manim  []string // Manim's arguments as typed
	script string
	scenes []string

	progress    string // of --progress_bar: display, leave, none, or "" for display
	transparent bool
	format      string
	resolution  string

	home       string
	mesh       string
	peers      []string
	noMDNS     bool
	python     string
	slots      *uint32
	cellFrames uint32
	assets     []string
	json       bool
	help       bool
}

// split parses the arguments of publish as Manim's own command line does:
// options stand before, between or behind the file and the scenes; short ones
// combine, the last with its value ("-pqh"); long ones take theirs behind "="
// or as the next argument, whatever that looks like; "--" ends the options. All
// errors are usage errors.
func split(args []string) (*invocation, error) {
	in := new(invocation)
	var files []string
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
				return nil, err
			}
			i += used
		default:
			used, err := in.short(arg, args[i+1:])
			if err != nil {
				return nil, err
			}
			i += used
		}
	}
	if in.help {
		return in, nil
	}
	return in, in.finish(files)
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
// arguments behind it belong to it.
func (in *invocation) short(arg string, rest []string) (int, error) {
	for run := arg[1:]; run != ""; {
		_, size := utf8.DecodeRuneInString(run)
		name := "-" + run[:size]
		run = run[size:]
		opt := optionNamed(name)
		switch {
		case opt == nil:
			return 0, unknownOption(name)
		case opt.value == "":
			if err := in.set(opt, name, ""); err != nil {
				return 0, err
			}
		case run != "":
			return 0, in.take(opt, name, run, arg)
		case len(rest) == 0:
			return 0, usagef("%s needs a value: %s", name, opt.value)
		default:
			return 1, in.take(opt, name, rest[0], arg, rest[0])
		}
	}
	in.manim = append(in.manim, arg)
	return 0, nil
}

// take records an option, and passes it on as typed if it is Manim's.
func (in *invocation) take(opt *option, name, value string, typed ...string) error {
	if !opt.own {
		in.manim = append(in.manim, typed...)
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
	case "--peer":
		in.peers = append(in.peers, value)
	case "--no-mdns":
		in.noMDNS = true
	case "--python":
		in.python = value
	case "--slots":
		n, _ := strconv.ParseUint(value, 10, 32) // checked
		slots := uint32(n)
		in.slots = &slots
	case "--cell-frames":
		n, _ := strconv.ParseUint(value, 10, 32) // checked
		in.cellFrames = uint32(n)
	case "--asset":
		in.assets = append(in.assets, value)
	case "--json":
		in.json = true
	case "--progress_bar":
		in.progress = strings.ToLower(value)
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
	switch {
	case in.script == "-":
		return usagef("a script on standard input is not supported yet: save it to a file")
	case filepath.Ext(in.script) == ".cfg":
		return usagef("%s: a configuration in place of the script is not supported yet: name the script", in.script)
	case filepath.Ext(in.script) != ".py":
		return usagef("%s: not a Python script: the first argument is the scene's file, ending in .py", in.script)
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
