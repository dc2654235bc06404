# SPDX-License-Identifier: MIT
"""The fixed scene of the self-test: strokes, fills, gradients, text-free shapes, updaters, a transform, a picture, 3D.

Nodes whose frames and files of it are equal may work on each other's jobs.
"""

import numpy as np
from manim import (
    BLUE,
    DOWN,
    GREEN,
    LEFT,
    ORANGE,
    PI,
    RIGHT,
    UP,
    YELLOW,
    Circle,
    Create,
    Cube,
    Dot,
    ImageMobject,
    RegularPolygon,
    Rotate,
    Square,
    Star,
    ThreeDScene,
    TracedPath,
    Transform,
    ValueTracker,
    VGroup,
    linear,
)


class SelfTest(ThreeDScene):
    """30 frames at 15 fps."""

    def construct(self) -> None:
        self.set_camera_orientation(phi=0.3, theta=-1.4)
        ramp = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 4
        picture = ImageMobject(np.stack([ramp, ramp[::-1], ramp.T], axis=-1)).scale(2).to_corner(DOWN + LEFT)
        ring = Circle(radius=1.3, color=BLUE, fill_opacity=0.4).shift(LEFT * 2).set_fill([GREEN, ORANGE])
        shapes = VGroup(
            Star(color=YELLOW), RegularPolygon(7, color=ORANGE, fill_opacity=1), Square(side_length=0.7)
        )
        shapes.arrange(RIGHT).shift(UP * 2).set_stroke(width=3.3)
        turn = ValueTracker(0)
        dot = Dot().add_updater(
            lambda d: d.move_to(2 * np.array([np.cos(turn.get_value()), np.sin(turn.get_value()), 0]))
        )
        self.add(picture, shapes, dot, TracedPath(dot.get_center, stroke_color=GREEN))
        self.play(Create(ring), turn.animate.set_value(PI), run_time=0.8)
        cube = Cube(side_length=1.2, fill_opacity=0.8).shift(RIGHT * 2)
        self.play(
            Transform(ring, shapes[1].copy().shift(DOWN)),
            Rotate(cube, PI / 3, axis=UP + RIGHT, rate_func=linear),
        )
        self.wait(0.2)
