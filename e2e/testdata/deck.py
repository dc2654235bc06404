# SPDX-License-Identifier: MIT
"""A deck of slides, for the plugin manim-slides."""

import os
from pathlib import Path

import manim as mn
from manim_slides import Slide


class Deck(Slide):
    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, output_folder=Path(os.environ.get("DECK", "slides")), **kwargs)

    def construct(self) -> None:
        square = mn.Square()
        self.play(mn.Create(square), run_time=0.6)
        self.next_slide(notes="first")
        self.play(square.animate.shift(mn.RIGHT), run_time=0.5)
        self.wait(0.3)
        self.next_slide(loop=True)
        self.play(mn.Rotate(square, mn.PI), run_time=0.8)
        self.next_slide(auto_next=True)
        self.play(mn.FadeOut(square), run_time=0.4)
        self.next_slide()
        self.wipe(square, mn.Circle())
