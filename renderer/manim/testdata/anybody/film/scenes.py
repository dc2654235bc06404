# SPDX-License-Identifier: MIT
"""Scenes that read files in all the ways that users' scenes do."""

import csv
import glob
import gzip
import importlib.util
import json
import mmap
import os
import pickle
import sqlite3
import zipfile
from pathlib import Path

import cairo
import numpy as np
from manim import *
from parts import SIDES, polygon
from PIL import Image

HERE = Path(__file__).parent
PROJECT = HERE.parent
DATA = PROJECT / "data"


class Modules(Scene):
    def construct(self):
        self.play(Create(polygon(SIDES)), run_time=0.4)
        from parts.inner import lazy

        self.play(Create(Circle(radius=lazy.RADIUS)), run_time=0.4)
        spec = importlib.util.spec_from_file_location("loaded", HERE / "plain.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.play(Create(Rectangle(width=module.WIDTH)), run_time=0.4)


class DataFiles(Scene):
    def construct(self):
        title = json.loads((DATA / "title.json").read_text())["title"]
        with open("data/line.csv", newline="") as file:
            rows = [[float(v) for v in row] for row in list(csv.reader(file))[1:]]
        points = np.load(DATA / "points.npy")
        heights = np.load("data/table.npz")["heights"]
        raw = np.fromfile(str(DATA / "raw.bin"))
        radius = pickle.loads((DATA / "sizes.pkl").read_bytes())["radius"]
        with gzip.open("data/words.txt.gz", "rt") as file:
            words = file.read().split()
        with zipfile.ZipFile(DATA / "bundle.zip") as bundle:
            inside = int(bundle.read("inside.txt"))
        facts = sqlite3.connect(f"file:{DATA / 'facts.db'}?mode=ro", uri=True)
        (sides,) = facts.execute("select sides from facts").fetchone()
        facts.close()
        handle = os.open("data/line.csv", os.O_RDONLY)
        with mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as view:
            length = len(view)
        os.close(handle)
        red = np.array(Image.open("pictures/red.png"))[0, 0]
        self.play(FadeIn(Text(title)), run_time=0.3)
        line = VMobject().set_points_as_corners([[x, y, 0] for x, y in rows])
        dots = VGroup(*[Dot(p, radius=radius * h / 4) for p, h in zip(points, heights)])
        self.play(Create(line), FadeIn(dots), run_time=0.4)
        shape = RegularPolygon(sides, color=ManimColor.from_rgb(red[:3] / 255)).shift(RIGHT * raw[3] / 2)
        number = Integer(len(words) * 100 + inside * 10 + length).shift(DOWN * 2)
        self.play(Create(shape), FadeIn(number), run_time=0.4)


class Listings(Scene):
    """Only counts files, and looks at their sizes: none of them is opened."""

    def construct(self):
        names = sorted(os.listdir("data/many"))
        found = glob.glob(str(DATA / "many" / "*.csv"))
        size = sum(path.stat().st_size for path in (DATA / "many").iterdir())
        walked = sum(len(files) for _, _, files in os.walk(DATA))
        deep = len(list(PROJECT.rglob("*.png")))
        entries = sum(entry.stat().st_size for entry in os.scandir("pictures") if entry.name == "red.png")
        newest = max(found, key=os.path.getmtime)
        is_there = os.path.exists("pictures/late.png") and not os.path.exists("pictures/never.png")
        self.play(Create(RegularPolygon(len(names))), run_time=0.3)
        text = f"{len(found)} {size} {walked} {deep} {entries} {is_there} {Path(newest).name}"
        self.play(FadeIn(Text(text, font_size=24)), run_time=0.3)


class Pictures(Scene):
    def construct(self):
        by_assets_dir = ImageMobject("green").scale(10)
        drawing = SVGMobject("drawing").shift(LEFT * 3)
        self.play(FadeIn(by_assets_dir, drawing), run_time=0.4)
        surface = cairo.ImageSurface.create_from_png("pictures/blue.png")  # opened in C
        square = Square(surface.get_width() / 4)
        self.play(Create(square), run_time=0.4)


class Outside(Scene):
    def construct(self):
        elsewhere = Path(os.environ.get("ELSEWHERE") or (HERE / "elsewhere.txt").read_text())
        shift = json.loads((elsewhere / "outside.json").read_text())["shift"]
        picture = ImageMobject(str(elsewhere / "outside.png")).scale(10).shift(LEFT * shift)
        home = json.loads(Path("~/in-home.json").expanduser().read_text())["angle"]
        drawing = SVGMobject(str(elsewhere / "shared.svg")).rotate(home)
        self.play(FadeIn(picture, drawing), run_time=0.5)


class Caches(Scene):
    """Makes what is not there yet, as downloads and speech are made; only the user may."""

    def construct(self):
        for cache in (Path("made.txt"), Path(config.media_dir) / "mine" / "made.txt"):
            if not cache.exists():
                if "MAY_MAKE" not in os.environ:
                    raise RuntimeError("made again where the scene is only rendered")
                cache.parent.mkdir(parents=True, exist_ok=True)
                cache.write_text("5")
            self.play(Create(RegularPolygon(int(cache.read_text()))), run_time=0.4)


class Fonts(Scene):
    def construct(self):
        with register_font(str(HERE / "own.ttf")):
            text = Text("own", font="DejaVu Serif")
        self.play(Write(text), run_time=0.5)
        self.play(Write(Text("system", font="DejaVu Sans Mono").shift(DOWN)), run_time=0.5)


class Templates(Scene):
    def construct(self):
        template = TexTemplate.from_file("template.tex") if Path("template.tex").exists() else None
        formula = MathTex(r"\half", tex_template=template)
        self.play(Write(formula), run_time=0.5)


class Late(Scene):
    """Reads a picture when it is drawn: the plan, which draws nothing, does not."""

    def construct(self):
        class Sized(Square):
            def get_stroke_width(self, background=False):
                return np.array(Image.open(PROJECT / "pictures" / ("dra" + "wn.png")))[0, 0, 0] / 10

        shape = Sized()
        self.play(FadeIn(shape), run_time=0.5)
        self.play(shape.animate.shift(RIGHT), run_time=0.5)


class LateModule(Scene):
    """Imports a module when it is drawn."""

    def construct(self):
        class Sized(Square):
            def get_stroke_width(self, background=False):
                import drawn_late

                return drawn_late.WIDTH

        self.play(Create(Sized()), run_time=0.5)


class InC(Scene):
    """Has C code open a file whose name the source does not have: nobody sees that."""

    def construct(self):
        surface = cairo.ImageSurface.create_from_png("pictures/" + "drawn" + ".png")
        self.play(Create(Square(surface.get_width() / 4)), run_time=0.4)


class Hidden(Scene):
    """Reads a hidden file when it is drawn: that is not to be had elsewhere."""

    def construct(self):
        class Peeks(Square):
            def get_stroke_width(self, background=False):
                return len((PROJECT / "pictures" / (".hid" + "den.png")).read_bytes())

        self.play(FadeIn(Peeks()), run_time=0.3)
