# SPDX-License-Identifier: MIT
from manim import RegularPolygon


def polygon(sides):
    return RegularPolygon(sides)
