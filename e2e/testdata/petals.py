# SPDX-License-Identifier: MIT
"""A module that the scenes import from beside them."""

import manim as mn


def flower(petals: int, color: mn.ManimColor) -> mn.VGroup:
    """Petals around the origin."""
    petal = mn.Ellipse(width=0.5, height=1.6, color=color).shift(0.9 * mn.UP)
    return mn.VGroup(
        *(petal.copy().rotate(i * mn.TAU / petals, about_point=mn.ORIGIN) for i in range(petals))
    )
