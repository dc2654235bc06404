# SPDX-License-Identifier: MIT
"""Ten minutes of small plays, with a formula's worth of curves in each: does anything pile up?"""

import manim as mn


class TenMinutes(mn.Scene):
    """600 plays of a second."""

    def construct(self) -> None:
        turned = mn.ValueTracker(0)
        wheel = mn.always_redraw(
            lambda: mn.VGroup(
                *(mn.RegularPolygon(5, radius=0.2 * n).rotate(n * turned.get_value()) for n in range(1, 8))
            )
        )
        self.add(wheel)
        for n in range(300):
            square = mn.Square(0.5, color=mn.BLUE).move_to([n % 11 - 5, 3, 0])
            self.play(turned.animate.increment_value(1), mn.FadeIn(square))
            self.play(mn.FadeOut(square))
