# SPDX-License-Identifier: MIT
"""A scene that takes long to draw and next to nothing to walk: something to kill nodes in the middle of."""

import manim as mn
import numpy as np

CURVES = 2500


class Slow(mn.Scene):
    """One mobject of very many curves turns; a dot leaves a trace: each frame depends on those before it."""

    def construct(self) -> None:
        t = np.linspace(0, mn.TAU, 4 * CURVES)
        radius = 2.6 + 0.8 * np.sin(97 * t)
        line = mn.VMobject(stroke_color=mn.BLUE, stroke_width=1)
        line.set_points(np.stack([radius * np.cos(t), radius * np.sin(t), 0 * t], axis=1))
        dot = mn.Dot([2, 0, 0], color=mn.YELLOW)
        self.add(line, mn.TracedPath(dot.get_center, stroke_color=mn.YELLOW), dot)
        for turn in (mn.PI / 3, -mn.PI / 2, mn.PI / 5, mn.PI):
            turning = (mn.Rotate(m, k * turn, about_point=mn.ORIGIN) for m, k in ((line, 1), (dot, 2)))
            self.play(*turning, run_time=3, rate_func=mn.linear)
