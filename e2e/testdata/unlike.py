# SPDX-License-Identifier: MIT
"""Scenes that could play differently on each computer."""

import random
import uuid
from pathlib import Path

from manim import *

DICE = random.Random()


class Steady(Scene):
    """Asks for what every walk is told alike."""

    def construct(self):
        dots = [Dot([i % 8 - 4, DICE.uniform(-2, 2), 0]) for i in range(24)]
        for i, dot in enumerate(set(dots)):
            dot.set_color(interpolate_color(RED, BLUE, i / 24))
        self.play(FadeIn(*dots))
        self.play(Rotate(dots[uuid.uuid4().int % 24], PI, about_point=ORIGIN))


class Unsteady(Scene):
    """A set of objects of its own: their order is that of their addresses."""

    class Thing:
        pass

    def construct(self):
        dots = {self.Thing(): Dot([i % 10 - 5, i // 10 * 0.4 - 3, 0]) for i in range(120)}
        for i, thing in enumerate(set(dots)):
            dots[thing].set_color(interpolate_color(RED, BLUE, i / 120))
        self.play(FadeIn(*dots.values()))
        self.play(*[dot.animate.shift(UP) for dot in dots.values()])


class AtHome(Scene):
    """Sees where it is."""

    def construct(self):
        self.play(FadeIn(Square() if Path("/etc/passwd").exists() else Circle()))
        self.wait(0.5)
