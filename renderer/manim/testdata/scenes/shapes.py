# SPDX-License-Identifier: MIT
"""What another file of the project looks like to a scene."""

from manim import BLUE, Square


def tilted_square(angle: float) -> Square:
    return Square(color=BLUE, side_length=1.5).rotate(angle)
