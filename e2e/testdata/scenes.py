# SPDX-License-Identifier: MIT
"""Short scenes with what makes a frame depend on all frames before it."""

import random

import manim as mn
import numpy as np
from petals import flower


class Motion(mn.Scene):
    """Updaters, a traced path, random numbers, sets, an image, a local module, waits of every kind."""

    def construct(self) -> None:
        turned = mn.ValueTracker(0)
        dot = mn.Dot(color=mn.YELLOW)
        dot.add_updater(lambda d, dt: d.shift(dt * random.uniform(-2, 3) * mn.RIGHT + dt * random.random()))
        trace = mn.TracedPath(dot.get_center, stroke_color=mn.RED, stroke_width=4)
        square = mn.always_redraw(lambda: mn.Square(1.2).rotate(turned.get_value()).to_edge(mn.LEFT))
        tile = mn.ImageMobject("assets/tile.png").scale(12).to_edge(mn.RIGHT)
        self.add(trace, dot, square)
        self.play(mn.FadeIn(tile), turned.animate.set_value(mn.PI), run_time=1.2)
        self.wait(0.6)
        petals = flower(5, mn.GREEN)
        self.play(mn.LaggedStart(*(mn.Create(p) for p in petals), lag_ratio=0.2), run_time=1)
        dot.clear_updaters()
        self.wait(1.4)
        colors = {"#ff8800", "#00ff88", "#8800ff"}
        for color in colors:  # the last one stays: the hash seed decides which
            petals.set_color(color)
        before, after = (mn.Text(word, font_size=40).shift(3 * mn.DOWN) for word in ("listen", "silent"))
        self.play(mn.Write(before), run_time=0.7)
        self.play(mn.TransformMatchingShapes(before, after), run_time=0.8)
        self.play(tile.animate.rotate(0.4), run_time=0.02)
        self.wait(0.03)
        self.wait(2, stop_condition=lambda: turned.increment_value(0.3).get_value() > 5)
        self.play(mn.FadeOut(trace), dot.animate.move_to(mn.ORIGIN), run_time=0.5)


class Turning(mn.ThreeDScene):
    """A camera that turns by itself around a surface."""

    def construct(self) -> None:
        hill = mn.Surface(
            lambda u, v: np.array([u, v, np.cos(u) * np.sin(v)]),
            u_range=[-2, 2],
            v_range=[-2, 2],
            resolution=6,
        )
        self.set_camera_orientation(phi=70 * mn.DEGREES, theta=-40 * mn.DEGREES)
        self.begin_ambient_camera_rotation(rate=0.8)
        self.play(mn.FadeIn(hill), run_time=0.6)
        self.add(mn.Cube(0.7).shift(2 * mn.UP))
        self.wait(1.2)
        self.move_camera(phi=40 * mn.DEGREES, run_time=0.8)


class Following(mn.MovingCameraScene):
    """A camera frame that follows a dot."""

    def construct(self) -> None:
        dots = mn.VGroup(*(mn.Dot([x, np.sin(x), 0]) for x in np.arange(-4, 4, 0.5)))
        frame = self.camera.frame
        self.add(dots)
        self.play(frame.animate.scale(0.4).move_to(dots[3]), run_time=0.6)
        self.play(
            frame.animate.move_to(dots[-1]), mn.Rotate(dots[-1], mn.PI), run_time=1, rate_func=mn.linear
        )
        self.wait(0.4)


class Formula(mn.Scene):
    """Glyphs that only a computer with LaTeX can make."""

    def construct(self) -> None:
        formula = mn.MathTex(r"e^{i\pi}", "+", "1", "=", "0")
        self.play(mn.Write(formula), run_time=1)
        self.play(formula.animate.arrange(mn.DOWN), run_time=0.6)


class Still(mn.Scene):
    """No plays: the result is a picture."""

    def construct(self) -> None:
        self.add(flower(7, mn.RED), mn.Text("still").to_edge(mn.DOWN))


class Broken(mn.Scene):
    """Fails after its first play."""

    def construct(self) -> None:
        self.play(mn.Create(mn.Square()), run_time=0.3)
        raise ArithmeticError("the scene's own mistake")


class Missing(mn.Scene):
    """Shows a picture that is not there."""

    def construct(self) -> None:
        self.add(mn.ImageMobject("assets/nowhere.png"))
        self.wait()
