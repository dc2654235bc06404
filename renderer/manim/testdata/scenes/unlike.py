# SPDX-License-Identifier: MIT
"""Scenes that could play differently on each walk, by what they ask of the computer."""

import os
import random
import socket
import time
import uuid
from datetime import date, datetime
from pathlib import Path

from manim import *

BEGUN = time.time()
DICE = random.Random()


def dots(n):
    return [Dot([i % 10 - 5, i // 10 * 0.3 - 3, 0]) for i in range(n)]


class Thing:
    """An object that hashes by its address."""


# Every walk is told the same.


class SetOfMobjects(Scene):
    def construct(self):
        some = dots(60)
        for i, dot in enumerate(set(some)):
            dot.shift(UP * i * 0.05)
        self.play(FadeIn(*some), run_time=0.5)
        for dot in list({dot.copy() for dot in some})[:2]:
            self.play(dot.animate.scale(3), run_time=0.4)


class HashOrder(Scene):
    def construct(self):
        for i, name in enumerate({"red", "green", "blue", "gold", "pink", "teal", "maroon"}):
            self.add(Dot([i, len(name) / 3, 0]))
        self.wait(0.3)
        self.play(FadeIn(Square()), run_time=0.4)


class Clock(Scene):
    def construct(self):
        start, dot = time.perf_counter(), Dot()
        dot.add_updater(lambda m, dt: m.move_to([time.perf_counter() - start, time.time() - BEGUN, 0]))
        self.add(dot)
        self.wait(1)
        self.play(Rotate(Square(), PI), run_time=0.6)


class Dates(Scene):
    def construct(self):
        now, today = datetime.now(), date.today()
        seconds = [
            now.second,
            now.microsecond / 1e5,
            today.day,
            time.localtime().tm_hour,
            time.strftime("%S"),
        ]
        self.play(FadeIn(*[Dot([i - 2, float(s) / 10 - 3, 0]) for i, s in enumerate(seconds)]), run_time=0.4)


class Chance(Scene):
    def construct(self):
        numbers = [
            DICE.random(),
            random.SystemRandom().random(),
            uuid.uuid4().int / 2**128,
            uuid.uuid1().int / 2**128,
            os.urandom(1)[0] / 256,
            np.random.default_rng().uniform(),
            np.random.RandomState().uniform(),
        ]
        np.random.seed()
        random.seed()
        numbers += [np.random.uniform(), random.random()]
        self.play(FadeIn(*[Dot([i - 4, 4 * n - 2, 0]) for i, n in enumerate(numbers)]), run_time=0.4)


class TimedLength(Scene):
    def construct(self):
        end = time.monotonic() + 0.9
        while time.monotonic() < end:
            self.play(FadeIn(Dot()), run_time=0.3)
        self.wait(time.time() % 1 / 4 + 0.2)


class Remembers(Scene):
    def construct(self):
        memory = Path("memory.txt")
        count = int(memory.read_text()) if memory.exists() else 3
        memory.write_text(str(count + 1))
        self.play(FadeIn(*dots(count)), run_time=0.4)
        self.wait(0.2)


class Connects(Scene):
    """No other node has a network: here all come to the same."""

    def construct(self):
        try:
            socket.create_connection(("127.0.0.1", 9), 1)
        except OSError:
            self.add(Square())
        self.wait(0.3)


# Other walks differ.


class SetOfThings(Scene):
    def construct(self):
        things = {Thing(): dot for dot in dots(60)}
        for i, thing in enumerate(set(things)):
            things[thing].shift(UP * i * 0.05)
        self.play(FadeIn(*things.values()), run_time=0.4)
        self.wait(0.3)


class Trembles(Scene):
    """Differs while it moves, and not when it has ended."""

    def construct(self):
        dot = Dot()
        self.play(UpdateFromAlphaFunc(dot, lambda m, a: m.set_x(a * (1 - a) * id(Thing()))), run_time=0.4)
        self.play(dot.animate.shift(UP), run_time=0.4)


class Theme(Scene):
    def construct(self):
        self.play(FadeIn(Dot()), run_time=0.3)
        self.play(FadeIn(Square(color=os.environ.get("TEST_THEME", "#ffffff"))), run_time=0.3)


class NeedsTheme(Scene):
    def construct(self):
        self.play(FadeIn(Square(color=os.environ["TEST_THEME"])), run_time=0.3)


# Not to be rendered.


class Asks(Scene):
    def construct(self):
        self.play(FadeIn(Text(input("Who is there? "))))


class Shell(Scene):
    def construct(self):
        self.wait()
        self.interactive_embed()
