# SPDX-License-Identifier: MIT
"""A film whose last play is edited."""

from manim import *


class Changed(Scene):
    def construct(self):
        square = Square()
        self.play(Create(square), run_time=1)
        self.play(square.animate.rotate(1), run_time=1)
        self.play(FadeOut(square), run_time=0.6)
        self.play(FadeIn(Triangle()), run_time=0.6)
