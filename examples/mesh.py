# SPDX-License-Identifier: MIT
"""What a mesh does with a scene, in forty seconds, and the film that it renders there.

meshnode publish examples/mesh.py Curve -ql
meshnode publish examples/mesh.py Mesh -qm -p
"""

from dataclasses import dataclass, field

import numpy as np
from manim import (
    DOWN,
    LEFT,
    RIGHT,
    TAU,
    UP,
    Animation,
    AnimationGroup,
    Circle,
    Create,
    Dot,
    FadeIn,
    FadeOut,
    GrowFromPoint,
    LaggedStart,
    Line,
    ManimColor,
    Mobject,
    Rectangle,
    ReplacementTransform,
    RoundedRectangle,
    Scene,
    Square,
    Text,
    Transform,
    ValueTracker,
    VGroup,
    VMobject,
    interpolate_color,
    linear,
    smooth,
)

NIGHT = ManimColor("#0E1117")
PANEL = ManimColor("#1B222E")
EDGE = ManimColor("#3A4659")
MUTED = ManimColor("#8D9AAF")
PAPER = ManimColor("#F2F5F9")

CELLS = 20
PER_NODE = 5
SLOT = 0.64  # width of a cell in the strip
STRIP_Y = 2.9

Point = np.ndarray


def words(
    text: str, size: float, color: ManimColor = PAPER, font: str = "sans-serif", weight: str = "NORMAL"
) -> Text:
    """Text, shaped at a large size and scaled down, which spaces small letters evenly."""
    return Text(text, font=font, font_size=96, color=color, weight=weight).scale(size / 96)


def rolled(angle: np.ndarray, size: float) -> np.ndarray:
    """Points of the curve that the film draws: a pen on a wheel inside a ring."""
    ring, wheel, pen = 8.0, 3.0, 4.5
    inner = ring - wheel
    x = inner * np.cos(angle) + pen * np.cos(inner / wheel * angle)
    y = inner * np.sin(angle) - pen * np.sin(inner / wheel * angle)
    return size / 2 / (inner + pen) * np.stack([x, y, 0 * x], axis=-1)


def picture(phase: float, size: float) -> VGroup:
    """One frame of the film: how far the pen has come after a share of its way."""
    angles = np.linspace(0, 3 * TAU * phase, max(4, int(3 * (24 + 20 * size) * phase)))
    points = rolled(angles, size)
    curve = VMobject(color=PAPER, stroke_width=1.2 + 0.9 * size).set_points_smoothly(points)
    pen = Dot(points[-1], radius=0.028 * size + 0.012, color=ManimColor("#FFD479"))
    return VGroup(curve, pen)


@dataclass
class Node:
    """A computer of the mesh, and where it stands on the stage."""

    name: str
    color: ManimColor
    at: Point
    pace: float  # seconds for a cell
    body: VGroup = field(init=False)
    bar: Rectangle = field(init=False)  # progress of the cell in hand

    def __post_init__(self) -> None:
        screen = RoundedRectangle(width=1.9, height=1.2, corner_radius=0.12)
        screen.set_fill(PANEL, 1).set_stroke(self.color, 3.5)
        stand = VGroup(Line(0.6 * DOWN, 0.82 * DOWN), Line(0.45 * LEFT, 0.45 * RIGHT).shift(0.82 * DOWN))
        stand.set_stroke(self.color, 3.5)
        self.body = VGroup(stand, screen, words(self.name, 24, MUTED).shift(1.12 * DOWN)).shift(self.at)
        self.bar = Rectangle(width=1.4, height=0.12, stroke_width=0, fill_color=self.color)
        self.show_progress(0)

    def show_progress(self, share: float) -> None:
        width = max(1.4 * share, 1e-3)
        self.bar.stretch_to_fit_width(width).move_to(self.at + (width - 1.4) / 2 * RIGHT)
        self.bar.set_fill(opacity=1 if share > 0 else 0)


@dataclass
class Turn:
    """One cell in the hands of one node, in seconds of the render."""

    cell: int
    node: Node
    start: float
    end: float


class Curve(Scene):
    """The film that the mesh of the other scene renders; a short one to try first."""

    def construct(self) -> None:
        self.camera.background_color = NIGHT
        phase = ValueTracker(0)
        film = picture(0, 6.5).add_updater(lambda shown: shown.become(picture(phase.get_value(), 6.5)))
        self.add(film)
        self.play(phase.animate(rate_func=linear, run_time=8).set_value(1))
        film.clear_updaters()
        self.wait(1)


class Mesh(Scene):
    """Nodes find each other, share a scene, lose one of them, and finish the film."""

    flight = 0.9  # seconds of a block's way back
    lost_at = 4.8  # seconds into the render, when a node is switched off
    adopted_at = 6.8

    def construct(self) -> None:
        self.camera.background_color = NIGHT
        self.nodes = [
            Node("kitchen", ManimColor("#4FD1B5"), np.array([-5.0, 0.55, 0]), 1.5),
            Node("studio", ManimColor("#F6A95B"), np.array([-1.9, -1.2, 0]), 1.15),
            Node("attic", ManimColor("#F0789A"), np.array([1.9, -1.2, 0]), 1.35),
            Node("laptop", ManimColor("#84A4FC"), np.array([5.0, 0.55, 0]), 1.25),
        ]
        self.lost = self.nodes[2]
        self.caption = VGroup()
        self.title("your scenes, your Manim, your other computers")
        self.discover()
        self.publish()
        self.share()
        self.render_cells()
        self.assemble()
        self.title("every computer at hand, and no server")

    def say(self, text: str) -> Animation:
        """The caption gives way to the next one."""
        old, self.caption = self.caption, words(text, 34).move_to(3.4 * DOWN)
        return LaggedStart(FadeOut(old, run_time=0.3), FadeIn(self.caption, run_time=0.5), lag_ratio=0.7)

    def title(self, text: str) -> None:
        name = words("meshnode", 100, weight="BOLD").shift(0.4 * UP)
        line = words(text, 34, MUTED).next_to(name, DOWN, buff=0.45)
        self.play(FadeIn(name, shift=0.2 * UP, run_time=0.8))
        self.play(FadeIn(line, run_time=0.6))
        self.wait(1.2)
        self.play(FadeOut(name, line, run_time=0.5))

    def discover(self) -> None:
        bodies = LaggedStart(*(FadeIn(n.body, scale=0.85) for n in self.nodes), lag_ratio=0.3, run_time=1.6)
        self.play(bodies, self.say("Computers on one network"))
        rings = [Circle(0.8, color=n.color, stroke_width=4).move_to(n.at).set_z_index(-2) for n in self.nodes]
        calls = [Transform(r, r.copy().scale(5).set_stroke(opacity=0, width=1)) for r in rings]
        found = self.say("find each other by themselves")
        self.play(found, LaggedStart(*calls, lag_ratio=0.25, run_time=2.6))
        self.remove(*rings)
        self.links = {
            (a.name, b.name): Line(a.at, b.at, color=EDGE, stroke_width=3).set_z_index(-1)
            for i, a in enumerate(self.nodes)
            for b in self.nodes[i + 1 :]
        }
        self.play(LaggedStart(*map(Create, self.links.values()), lag_ratio=0.15, run_time=1.4))

    def publish(self) -> None:
        command = words("$ meshnode publish film.py Curve", 28, font="Monospace")
        box = RoundedRectangle(width=command.width + 0.8, height=0.8, corner_radius=0.12)
        box.set_fill(PANEL, 1).set_stroke(self.nodes[0].color, 2.5).move_to(2.3 * UP)
        command.move_to(box)
        self.play(GrowFromPoint(box, self.nodes[0].at), self.say("One of them publishes a scene"))
        self.play(LaggedStart(*(FadeIn(c) for c in command), lag_ratio=0.5, run_time=1.3))
        self.wait(0.4)
        self.film = RoundedRectangle(width=CELLS * SLOT, height=0.62, corner_radius=0.1)
        self.film.set_fill(PANEL, 1).set_stroke(MUTED, 2).move_to(STRIP_Y * UP)
        self.play(FadeOut(command, run_time=0.4), ReplacementTransform(box, self.film, run_time=0.9))

    def share(self) -> None:
        slot = Rectangle(width=SLOT - 0.06, height=0.62).set_fill(PANEL, 1).set_stroke(MUTED, 1.5)
        self.slots = VGroup(*(slot.copy() for _ in range(CELLS))).arrange(RIGHT, buff=0.06).move_to(self.film)
        self.play(FadeOut(self.film), FadeIn(self.slots), self.say("It is cut into cells"))
        self.wait(0.4)
        claims, parcels = [], VGroup()
        for i, cell in enumerate(self.slots):
            node = self.nodes[i // PER_NODE]
            claims.append(cell.animate.set_stroke(node.color, 3))
            parcels.add(Square(0.24, color=node.color, fill_opacity=1, stroke_width=0).move_to(cell))
        ways = [p.animate.move_to(self.nodes[i // PER_NODE].at).set_opacity(0) for i, p in enumerate(parcels)]
        self.play(
            LaggedStart(*claims, lag_ratio=0.06, run_time=2),
            LaggedStart(*ways, lag_ratio=0.06, run_time=2.4),
            self.say("and each computer takes a range of them"),
        )
        self.remove(parcels)

    def turns(self) -> list[Turn]:
        """Who renders which cell, and when: one's own range first, then what the lost node leaves."""
        turns, free = [], {}
        for k, node in enumerate(self.nodes):
            for j in range(PER_NODE):
                turn = Turn(k * PER_NODE + j, node, j * node.pace, (j + 1) * node.pace)
                if node is not self.lost or turn.end <= self.lost_at:
                    turns.append(turn)
                    free[node.name] = max(turn.end, self.adopted_at)
        rest = sorted(set(range(CELLS)) - {t.cell for t in turns})
        for cell in rest:
            node = min((n for n in self.nodes if n is not self.lost), key=lambda n: free[n.name] + n.pace)
            start = free[node.name]
            free[node.name] = start + node.pace
            turns.append(Turn(cell, node, start, free[node.name]))
        self.adopted = turns[-len(rest) :]
        return turns

    def render_cells(self) -> None:
        turns = self.turns()
        self.pictures = VGroup(*(picture((i + 1) / CELLS, 0.52) for i in range(CELLS))).set_z_index(1)
        for frame, slot in zip(self.pictures, self.slots, strict=True):
            frame.move_to(slot).set_opacity(0)
        blocks = VGroup(*(Square(0.3, color=t.node.color, stroke_width=0).set_opacity(0) for t in turns))
        self.add(*(n.bar for n in self.nodes), self.pictures, blocks)
        clock = ValueTracker(0)
        stage = Mobject().add_updater(lambda _: self.show(clock.get_value(), turns, blocks))
        self.add(stage)
        # Manim redraws what comes after the first mobject that moves: here, all.
        self.bring_to_back(stage)

        def run_until(time: float, *others: Animation) -> None:
            span = time - clock.get_value()
            self.play(clock.animate(rate_func=linear, run_time=span).set_value(time), *others)

        def paint(color: ManimColor | None, width: float) -> list[Animation]:
            return [self.slots[t.cell].animate.set_stroke(color or t.node.color, width) for t in self.adopted]

        run_until(self.lost_at, self.say("All render at once, and send finished cells back"))
        links = [link for pair, link in self.links.items() if self.lost.name in pair]
        gone = [link.animate.set_stroke(opacity=0) for link in links]
        gone += [self.lost.body.animate.set_stroke(EDGE).set_opacity(0.6), *paint(EDGE, 1.5)]
        run_until(self.adopted_at, AnimationGroup(*gone, run_time=0.7), self.say("One is switched off"))
        adopt = LaggedStart(*paint(None, 3), lag_ratio=0.3, run_time=1.2)
        end = max(t.end for t in turns) + self.flight + 0.6
        run_until(end, adopt, self.say("The others adopt its cells"))
        stage.clear_updaters()
        self.remove(stage, blocks, *(n.bar for n in self.nodes))

    def show(self, now: float, turns: list[Turn], blocks: VGroup) -> None:
        """Sets bars, blocks and pictures to one moment of the render."""
        for node in self.nodes:
            node.show_progress(0)
        if now < self.lost_at:  # what it has in hand then is lost with it
            self.lost.show_progress(now % self.lost.pace / self.lost.pace)
        for turn, block in zip(turns, blocks, strict=True):
            if turn.start <= now < turn.end:
                turn.node.show_progress((now - turn.start) / (turn.end - turn.start))
            slot, way = self.slots[turn.cell], (now - turn.end) / self.flight
            block.set_fill(opacity=1 if 0 < way < 1 else 0)
            if 0 < way < 1:
                here, there, s = turn.node.at, slot.get_center(), smooth(way)
                bend = np.array([there[0], here[1], 0])
                block.move_to((1 - s) ** 2 * here + 2 * s * (1 - s) * bend + s**2 * there)
            elif way >= 1:
                glow = max(0.0, 1 - (way - 1) * self.flight / 0.7)
                slot.set_fill(interpolate_color(PANEL, turn.node.color, 0.2 + 0.8 * glow))
                curve, pen = self.pictures[turn.cell]
                curve.set_stroke(opacity=1)
                pen.set_fill(opacity=1)

    def assemble(self) -> None:
        joined = self.slots.copy()
        for slot in joined:
            slot.stretch_to_fit_width(SLOT + 0.01).set_stroke(width=0).set_fill(PANEL)
        self.play(Transform(self.slots, joined, run_time=0.8), self.say("Joined, they are the film"))
        screen = RoundedRectangle(width=7.4, height=4.6, corner_radius=0.15)
        screen.set_fill(PANEL, 1).set_stroke(MUTED, 2.5).shift(0.55 * UP)
        others = [*self.links.values(), *(n.body for n in self.nodes), self.pictures]
        self.play(
            FadeOut(*others, run_time=0.6), ReplacementTransform(self.slots, VGroup(screen), run_time=1.1)
        )
        phase = ValueTracker(0)
        film = VGroup().add_updater(
            lambda shown: shown.become(picture(phase.get_value(), 4.0).shift(screen.get_center()))
        )
        self.add(film)
        same = self.say("bit for bit what one computer would have made")
        self.play(phase.animate(rate_func=linear, run_time=4.5).set_value(1), same)
        film.clear_updaters()
        self.wait(0.8)
        self.play(FadeOut(*self.mobjects, run_time=0.6))
