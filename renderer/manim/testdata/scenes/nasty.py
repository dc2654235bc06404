# SPDX-License-Identifier: MIT
"""Scenes that each try one thing that cutting, forking or shipping could get wrong. All are short."""

import random
from pathlib import Path

import numpy as np
from manim import *
from shapes import tilted_square

HERE = Path(__file__).parent
MODULE_DRAW = random.random()


class FrozenWaits(Scene):
    def construct(self):
        self.add(Square())
        self.wait(2.05)
        self.wait(0.5)
        self.play(FadeIn(Circle()), run_time=0.5)
        self.wait(1.3)


class WaitOnly(Scene):
    def construct(self):
        self.add(Circle())
        self.wait(0.7)


class Empty(Scene):
    def construct(self):
        pass


class StillOnly(Scene):
    def construct(self):
        self.add(Square(fill_opacity=0.5), Text("still"))


class SubFramePlays(Scene):
    def construct(self):
        square = Square()
        self.play(Create(square), run_time=0.01)
        self.wait(0.01)
        self.play(square.animate.shift(RIGHT), run_time=1 / 15)
        self.play(square.animate.shift(UP), run_time=0.5)
        self.wait(0.1)


class StopCondition(Scene):
    def construct(self):
        dot = Dot().add_updater(lambda m, dt: m.shift(RIGHT * dt))
        self.add(dot)
        self.wait_until(lambda: dot.get_x() > 0.9, max_time=5)
        self.wait(3, stop_condition=lambda: dot.get_x() > 2)
        dot.clear_updaters()
        self.wait(0.4)


class DynamicWait(Scene):
    def construct(self):
        dot = Dot().add_updater(lambda m, dt: m.rotate(dt, about_point=RIGHT))
        line = always_redraw(lambda: Line(ORIGIN, dot.get_center()))
        self.add(dot, line)
        self.wait(1.2)
        self.pause(0.6)
        self.wait(0.6, frozen_frame=False)


class SceneUpdater(Scene):
    def construct(self):
        self.total = 0.0
        number = DecimalNumber(0)
        self.add(number)

        def update(dt):
            self.total += dt
            number.set_value(self.total)

        self.add_updater(update)
        self.wait(1)
        self.play(number.animate.shift(UP))
        self.remove_updater(update)
        self.wait(0.5)


class Randomness(Scene):
    def construct(self):
        dots = VGroup(*[Dot([random.uniform(-5, 5), np.random.uniform(-3, 3), 0]) for _ in range(12)])
        self.play(Create(dots))
        for dot in dots:
            dot.add_updater(lambda m, dt: m.shift([random.gauss(0, 0.05), np.random.normal(0, 0.05), 0]))
        self.wait(1.5)
        random.shuffle(dots.submobjects)
        self.play(LaggedStart(*[d.animate.shift(UP * random.random()) for d in dots[:4]], lag_ratio=0.2))


class OwnGenerator(Scene):
    """Stock Manim draws this differently on every run; all walks of one job must not."""

    def construct(self):
        rng = np.random.default_rng()
        self.play(FadeIn(Dot([rng.uniform(-3, 3), rng.uniform(-2, 2), 0])), run_time=0.5)
        self.play(FadeIn(Dot([MODULE_DRAW, np.random.default_rng().uniform(-2, 2), 0])), run_time=0.8)


class Matching(Scene):
    def construct(self):
        first, second = Text("abcdef"), Text("fedcab")
        self.play(Write(first))
        self.play(TransformMatchingShapes(first, second, path_arc=PI / 2))
        self.wait(0.3)


class Compositions(Scene):
    def construct(self):
        a, b, c = Square().shift(LEFT * 3), Circle(), Triangle().shift(RIGHT * 3)
        self.play(Succession(Create(a), FadeIn(b, shift=UP), GrowFromCenter(c), run_time=1.6))
        self.play(LaggedStart(a.animate.shift(UP), b.animate.shift(DOWN), Rotate(c, PI), lag_ratio=0.4))
        self.play(ChangeSpeed(AnimationGroup(Rotate(a, PI), c.animate.scale(2)), {0.3: 0.3, 0.7: 2}))
        self.play(AnimationGroup(Wait(0.4), FadeOut(a), lag_ratio=0.3))
        self.play(Swap(b, c), Indicate(b), Flash(ORIGIN))


class Traced(Scene):
    def construct(self):
        dot = Dot(RIGHT)
        path = TracedPath(dot.get_center, dissipating_time=0.5, stroke_opacity=[0, 1])
        boundary = AnimatedBoundary(Square())
        self.add(dot, path, boundary)
        self.play(Rotating(dot, about_point=ORIGIN, run_time=1.5))
        self.wait(0.7)


class Tracker(Scene):
    def construct(self):
        tracker = ValueTracker(0)
        square = always_redraw(lambda: tilted_square(tracker.get_value()))
        label = always_redraw(lambda: Integer(int(tracker.get_value() * 10)).next_to(square, UP))
        self.add(square, label)
        self.play(tracker.animate.set_value(2), run_time=1.4)
        self.play(UpdateFromAlphaFunc(square, lambda m, a: m.set_opacity(1 - a / 2)))


class Background(Scene):
    def construct(self):
        square = Square(fill_opacity=0.4)
        self.play(FadeIn(square), run_time=0.6)
        self.camera.background_color = BLUE_E
        self.play(square.animate.shift(LEFT), run_time=0.8)
        self.wait(0.4)
        self.camera.background_opacity = 0.5
        self.play(square.animate.shift(RIGHT), run_time=0.6)


class StaticBehindMoving(Scene):
    def construct(self):
        grid = NumberPlane()
        text = Text("unmoved").to_edge(UP)
        front = Dot(fill_opacity=0.6, radius=0.5)
        self.add(grid, text)
        self.add_foreground_mobjects(front)
        self.play(front.animate.shift(RIGHT * 3), run_time=1.6)
        self.bring_to_back(text)
        square = Square(fill_opacity=1, z_index=-1)
        self.play(FadeIn(square), text.animate.shift(DOWN), run_time=1.2)


class ThreeD(ThreeDScene):
    def construct(self):
        axes = ThreeDAxes()
        sphere = Sphere(resolution=(6, 6)).shift(OUT)
        label = Text("fixed").to_corner(UL)
        self.add_fixed_in_frame_mobjects(label)
        self.set_camera_orientation(phi=70 * DEGREES, theta=30 * DEGREES)
        self.add(axes)
        self.play(FadeIn(sphere), run_time=0.6)
        self.begin_ambient_camera_rotation(rate=0.8)
        self.wait(0.8)
        self.stop_ambient_camera_rotation()
        self.move_camera(phi=40 * DEGREES, frame_center=[1, 1, 0], zoom=1.3, run_time=0.7)
        self.wait(0.3)
        self.begin_3dillusion_camera_rotation(rate=2)
        self.wait(0.5)
        self.stop_3dillusion_camera_rotation()


class ThreeDMovedBeforeFirstDrawing(ThreeDScene):
    def construct(self):
        self.set_camera_orientation(phi=60 * DEGREES, frame_center=[1, 0, 0])
        self.wait(0.3)
        self.add(Cube())
        self.move_camera(theta=0, frame_center=[0, 1, 0], run_time=0.8)
        text = Text("turn")
        self.add_fixed_orientation_mobjects(text)
        self.play(Rotate(text, PI / 2), run_time=0.5)


class MovingCamera_(MovingCameraScene):
    def construct(self):
        square = Square()
        self.camera.frame.save_state()
        self.play(Create(square), self.camera.frame.animate.scale(0.5).move_to(square), run_time=0.9)
        self.camera.frame.add_updater(lambda f, dt: f.shift(RIGHT * dt))
        self.wait(0.8)
        self.camera.frame.clear_updaters()
        self.play(Restore(self.camera.frame), run_time=0.7)
        self.play(self.camera.auto_zoom([square], margin=2), run_time=0.5)


class Zoomed(ZoomedScene):
    def __init__(self, **kwargs):
        super().__init__(zoom_factor=0.3, zoomed_display_height=2, zoomed_display_width=5, **kwargs)

    def construct(self):
        dot = Dot().shift(UL)
        image = ImageMobject(np.uint8([[0, 100, 30, 200], [255, 0, 5, 33]])).set(height=5)
        self.add(image, dot)
        self.zoomed_camera.frame.move_to(dot)
        self.activate_zooming()
        self.play(self.get_zoomed_display_pop_out_animation(), run_time=0.8)
        self.play(
            dot.animate.shift(RIGHT * 2), self.zoomed_camera.frame.animate.shift(RIGHT * 2), run_time=0.8
        )
        self.play(self.zoomed_camera.frame.animate.scale([0.5, 1.5, 0]), run_time=0.6)
        self.wait(0.5)
        self.play(
            self.get_zoomed_display_pop_out_animation(), rate_func=lambda t: smooth(1 - t), run_time=0.6
        )
        self.play(FadeOut(self.zoomed_display, self.zoomed_camera.frame), run_time=0.4)


class Linear(LinearTransformationScene):
    def construct(self):
        self.add_vector([1, 2])
        self.apply_matrix([[0, 1], [-1, 1]], run_time=1)
        self.wait(0.3)
        self.apply_inverse([[0, 1], [-1, 1]], run_time=0.6)


class Streams(Scene):
    def construct(self):
        lines = StreamLines(
            lambda p: np.sin(p[1]) * RIGHT + np.cos(p[0]) * UP, x_range=[-2, 2], y_range=[-1, 1]
        )
        self.add(lines)
        lines.start_animation(warm_up=False, flow_speed=1.5)
        self.wait(1)
        self.play(lines.end_animation())


class Assets(Scene):
    def construct(self):
        picture = ImageMobject(HERE / "picture.png").set_resampling_algorithm(
            RESAMPLING_ALGORITHMS["nearest"]
        )
        drawing = SVGMobject("drawing.svg").shift(LEFT * 3)
        again = SVGMobject(str(HERE / "drawing.svg")).shift(RIGHT * 3)
        self.play(FadeIn(picture), DrawBorderThenFill(drawing), run_time=0.9)
        self.play(Transform(drawing, again), picture.animate.rotate(1).scale(2), run_time=0.9)
        late = SVGMobject("drawing.svg", height=1).to_edge(DOWN)
        self.play(Write(late), run_time=0.5)


class Words(Scene):
    def construct(self):
        text = Text("Grüße, Welt!", t2c={"Welt": RED})
        self.play(AddTextLetterByLetter(text), run_time=0.8)
        markup = MarkupText('<b>bold</b> <span foreground="yellow">gold</span>').shift(DOWN)
        self.play(Write(markup), run_time=0.7)
        code = Code(code_string="def f():\n    return 1", language="python").scale(0.5).shift(UP * 2)
        self.play(FadeIn(code), run_time=0.4)
        self.play(Unwrite(text), run_time=0.5)


class Formulas(Scene):
    def construct(self):
        formula = MathTex("a^2", "+", "b^2", "=", "c^2")
        self.play(Write(formula), run_time=0.8)
        other = MathTex("c^2", "=", "a^2", "+", "b^2")
        self.play(TransformMatchingTex(formula, other), run_time=0.8)
        axes = Axes(x_range=[0, 3], y_range=[0, 9]).add_coordinates()
        self.play(FadeIn(axes), Create(axes.plot(lambda x: x * x)), run_time=0.8)


class Sections(Scene):
    def construct(self):
        square = Square()
        self.play(Create(square), run_time=0.5)
        self.next_section("moving")
        self.play(square.animate.shift(RIGHT), run_time=0.6)
        self.next_section("left out", skip_animations=True)
        self.play(square.animate.shift(UP), run_time=0.7)
        self.wait(0.2)
        self.next_section("zwei ü")
        self.wait(0.4)
        self.play(Uncreate(square), run_time=0.5)


class SoundAndSubcaptions(Scene):
    def construct(self):
        self.add_sound(str(HERE / "beep.wav"))
        self.add_subcaption("first", duration=0.5)
        self.play(FadeIn(Square()), run_time=0.6, subcaption="a square", subcaption_offset=0.1)
        self.wait(0.43)
        self.add_sound("beep.wav", time_offset=0.2, gain=-6)
        self.play(FadeIn(Circle()), run_time=0.8)


class Prints(Scene):
    def construct(self):
        print("the scene prints")
        for i in range(3):
            self.play(FadeIn(Dot(RIGHT * i)), run_time=0.3)
            print("play", i, self.renderer.num_plays, self.time)


class WritesFiles(Scene):
    def construct(self):
        note = Path("note.txt")
        note.write_text("5")
        count = int(note.read_text())
        self.play(Create(RegularPolygon(count)), run_time=0.8)
        note.write_text("7")
        self.play(Create(RegularPolygon(int(note.read_text())).shift(RIGHT)), run_time=0.8)
        note.unlink()


class OwnHooks(Scene):
    def setup(self):
        self.base = Square()
        self.add(self.base)

    def construct(self):
        self.play(self.base.animate.scale(2), run_time=0.6)

    def tear_down(self):
        self.play(FadeOut(self.base), run_time=0.6)
        super().tear_down()

    def render(self, *args, **kwargs):
        return super().render(*args, **kwargs)


class SeesItself(Scene):
    def construct(self):
        square = Square(fill_opacity=1, color=RED)
        self.play(FadeIn(square), run_time=0.6)
        mean = float(self.renderer.get_frame()[:, :, 0].mean())
        self.play(square.animate.shift(RIGHT * mean / 10), run_time=0.6)
        self.wait(0.3)
        brighter = int(self.camera.pixel_array.max())
        self.play(FadeIn(Dot(radius=brighter / 500)), run_time=0.4)


class DrawsItself(Scene):
    def construct(self):
        square = Square(fill_opacity=1, color=RED)
        self.play(FadeIn(square), run_time=0.6)
        self.renderer.update_frame(self)
        image = ImageMobject(self.renderer.get_frame()).scale(0.4).shift(LEFT * 3)
        self.play(FadeIn(image), run_time=0.6)
        camera = Camera()
        camera.capture_mobject(square)
        portrait = ImageMobject(np.array(camera.get_image())).scale(0.2).shift(RIGHT * 3)
        self.play(FadeIn(portrait), run_time=0.6)


class SplitScreen(Scene):
    def __init__(self, **kwargs):
        super().__init__(camera_class=MultiCamera, **kwargs)

    def construct(self):
        inset = ImageMobjectFromCamera(MovingCamera(frame=Rectangle(height=2, width=3).shift(LEFT)))
        inset.set(height=2.5).to_corner(UR)
        self.renderer.camera.add_image_mobject_from_camera(inset)
        dot = Dot(LEFT)
        self.add(dot, inset)
        self.play(dot.animate.shift(UP), inset.animate.scale(0.613), run_time=0.9)
        self.play(inset.camera.frame.animate.stretch(0.77, 0), run_time=0.7)
        self.wait(0.4)
        self.play(FadeOut(inset), run_time=0.4)


class Vectors(VectorScene):
    def construct(self):
        plane = self.add_plane(animate=True)
        vector = self.add_vector([2, 1])
        self.write_vector_coordinates(vector)
        self.wait(0.2)
        self.play(FadeOut(plane), run_time=0.4)


class Points(Scene):
    def construct(self):
        cloud = PMobject()
        cloud.add_points(np.random.uniform(-2, 2, (200, 3)))
        self.play(FadeIn(cloud), run_time=0.6)
        self.play(Rotate(cloud, PI / 3), run_time=0.8)


class Twice(Scene):
    """The same play twice: Manim's cache has one file for both."""

    def construct(self):
        square = Square()
        self.add(square)
        for _ in range(2):
            self.play(Rotate(square, TAU), run_time=0.6)
            self.wait(0.3)


class Graphs(Scene):
    def construct(self):
        graph = Graph([1, 2, 3, 4], [(1, 2), (2, 3), (3, 4), (1, 3)], layout="spring", labels=False)
        self.play(Create(graph), run_time=0.8)
        self.play(
            *[graph[v].animate.move_to(np.random.uniform(-2, 2, 3) * [1, 1, 0]) for v in graph.vertices]
        )


class ConfigInScene(Scene):
    def construct(self):
        config.frame_width = 10
        square = Square().move_to(config.frame_width / 2 * RIGHT)
        self.play(FadeIn(square), run_time=0.5)
        self.play(square.animate.to_edge(LEFT), run_time=0.6)


class Fails(Scene):
    def construct(self):
        self.play(FadeIn(Square()), run_time=0.3)
        raise ValueError("the scene is wrong")
