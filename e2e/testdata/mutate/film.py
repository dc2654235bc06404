# SPDX-License-Identifier: MIT
"""A film each part of which depends on something else, for edits of each of these."""

import random
from pathlib import Path

import helper
import numpy as np
from manim import *

HERE = Path(__file__).parent
TINT = BLUE
SPEED = 0.6


class Leaf(VMobject):
    """A shape of the scene's own, drawn by Manim."""

    def generate_points(self):
        self.set_points_smoothly([np.array([x, np.sin(3 * x), 0]) for x in np.linspace(-2, 2, 9)])


class Glow(Circle):
    """A mobject that draws by itself."""

    def get_fill_rgbas(self):
        return super().get_fill_rgbas() * [1, 1, 1, 0.5]


class Film(MovingCameraScene):
    def construct(self):
        parts = ["shapes", "picture", "data", "words", "formula", "leaf"]
        for part in [*parts, "glow", "following", "chance", "layers"]:
            getattr(self, part)()
            self.clear()
        self.zoom()
        self.last()

    def shapes(self):
        self.add(Square(side_length=4))
        self.play(Create(Square(side_length=helper.SIDE, color=TINT)), run_time=SPEED)

    def picture(self):
        self.play(FadeIn(ImageMobject(HERE / "picture.png").scale(20)), run_time=0.6)

    def data(self):
        points = np.load(HERE / "data.npy")
        self.play(*[GrowFromCenter(Dot(point)) for point in points], run_time=0.6)

    def words(self):
        self.play(Write(Text("Words", font="DejaVu Sans")), run_time=0.6)

    def formula(self):
        self.play(FadeIn(MathTex("x^2")), run_time=0.4)

    def leaf(self):
        self.play(Create(Leaf(stroke_width=4)), run_time=0.6)

    def glow(self):
        self.play(FadeIn(Glow(fill_opacity=1)), run_time=0.4)

    def following(self):
        dot = Dot()
        dot.add_updater(lambda m, dt: m.shift(RIGHT * dt))
        self.add(dot)
        self.wait(0.6)

    def chance(self):
        self.play(FadeIn(Dot([random.uniform(-3, 3), np.random.uniform(-2, 2), 0])), run_time=0.4)

    def layers(self):
        front = Square(fill_opacity=1, color=RED).set_z_index(1)
        back = Circle(radius=1.5, fill_opacity=0.7).set_fill([YELLOW, GREEN])
        line = VMobject(stroke_width=20, joint_type=LineJointType.ROUND)
        line.set_points_as_corners([LEFT, UP, RIGHT])
        self.play(FadeIn(front), FadeIn(back), FadeIn(line), run_time=0.6)

    def zoom(self):
        self.add(Square())
        self.play(self.camera.frame.animate.scale(0.7), run_time=0.6)

    def last(self):
        self.wait(0.4)
        self.play(FadeIn(Triangle()), run_time=0.6)
