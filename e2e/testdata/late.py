# SPDX-License-Identifier: MIT
"""Scenes that open a file only when they draw: the plan, which draws nothing, does not."""

from pathlib import Path

import manim as mn

FOLDER = Path(__file__).parent / "assets"


class Late(mn.Scene):
    """The width of a stroke is in a file; so are as many corners as the folder has names."""

    name = "wid" + "th.txt"  # the source does not have it as one text

    def construct(self) -> None:
        name = self.name

        class FromFile(mn.RegularPolygon):
            def get_stroke_width(self, background: bool = False) -> float:
                return float((FOLDER / name).read_text())

        shape = FromFile(2 + len(list(FOLDER.iterdir())))
        self.play(mn.Create(shape), run_time=1)
        self.play(shape.animate.shift(mn.RIGHT), run_time=1)


class Hidden(Late):
    name = "." + "width.txt"
