# SPDX-License-Identifier: MIT
"""Fifteen pendulums drift apart and meet again.

Each frame follows from the one before, step by step, which no renderer can skip:
a mesh gives the same frames all the same.

meshnode publish examples/pendulums.py Pendulums -qm -p
"""

import numpy as np
from manim import DOWN, ORIGIN, PI, UP, Circle, Line, ManimColor, Scene, VGroup, color_gradient

COUNT = 15
MEET = 16.0  # seconds until all are in step again
STEPS = 8  # of the integration, for each frame


class Pendulums(Scene):
    """A pendulum wave, integrated in small steps."""

    def construct(self) -> None:
        self.camera.background_color = ManimColor("#0E1117")
        colors = color_gradient(["#4FD1B5", "#84A4FC", "#F0789A", "#F6A95B"], COUNT)
        self.add(*(self.pendulum(16 + i, colors[i]) for i in range(COUNT)))
        self.wait(MEET)

    def pendulum(self, swings: int, color: ManimColor) -> VGroup:
        """A pendulum that swings so often, to and fro, until all meet."""
        omega = np.pi * swings / MEET
        length = 60 / omega**2 / 1.1
        pivot = 3.6 * UP
        rod = Line(pivot, pivot + length * DOWN, stroke_width=1.5, color=color, stroke_opacity=0.4)
        bob = Circle(0.17, color=color, fill_opacity=1, stroke_width=0)
        angle, speed = PI / 7, 0.0

        def step(group: VGroup, dt: float) -> None:
            nonlocal angle, speed
            for _ in range(STEPS):
                speed -= omega**2 * angle * dt / STEPS
                angle += speed * dt / STEPS
            end = pivot + length * np.array([np.sin(angle), -np.cos(angle), 0])
            group[0].put_start_and_end_on(pivot, end)
            group[1].move_to(end)

        swing = VGroup(rod, bob.move_to(ORIGIN))
        step(swing, 0.0)
        return swing.add_updater(step)
