// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// scene is one to be rendered.
type scene struct {
	file    string // absolute
	name    string
	gallery bool // counts for the geometric mean
}

// gallery is Manim's own example gallery, where it lies beside the project.
const gallery = "../shared/conform/corpus/manim_gallery.py"

// prepare finds the scenes and looks at the Python once.
func (b *bench) prepare() error {
	add := func(file string, isGallery bool, names ...string) error {
		abs, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		for _, name := range names {
			b.scenes = append(b.scenes, scene{abs, name, isGallery})
		}
		return nil
	}
	if err := errors.Join(add("examples/mesh.py", false, "Mesh"), add("examples/pendulums.py", false, "Pendulums")); err != nil {
		return err
	}
	for _, s := range b.scenes {
		if _, err := os.Stat(s.file); err != nil {
			return fmt.Errorf("%w: run it in the project's folder", err)
		}
	}
	if _, err := os.Stat(gallery); err != nil {
		say("no gallery: %v", err)
	} else {
		names := []string{"OpeningManim", "SineCurveUnitCircle", "PointWithTrace", "ThreeDCameraRotation"}
		if _, err := exec.LookPath("latex"); err != nil {
			say("OpeningManim and SineCurveUnitCircle left out: %v", err)
			names = names[2:]
		}
		if err := add(gallery, true, names...); err != nil {
			return err
		}
	}
	home := filepath.Join(os.TempDir(), "setup")
	if out, err := command(nil, "setup", "--home", home, "--python", b.python).CombinedOutput(); err != nil {
		return fmt.Errorf("meshnode setup: %w\n%s", err, out)
	}
	b.homes = filepath.Join(home, "environments")
	return nil
}

// media returns a new media folder that holds the scene's Tex and text: to make
// those is neither's work.
func (s scene) media(b *bench) (string, error) {
	known := filepath.Join(os.TempDir(), "media-"+s.name)
	if _, err := os.Stat(known); err != nil {
		say("%s: Tex and text", s.name)
		cmd := exec.Command(b.python, "-m", "manim", "render", "-ql", "-s", "--media_dir", known, s.file, s.name)
		cmd.Dir, cmd.Env = filepath.Dir(s.file), environment()
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", s.name, err, out)
		}
		for _, made := range []string{"videos", "images"} {
			if err := os.RemoveAll(filepath.Join(known, made)); err != nil {
				return "", err
			}
		}
	}
	media, err := os.MkdirTemp("", "media")
	if err != nil {
		return "", err
	}
	return media, os.CopyFS(media, os.DirFS(known))
}
