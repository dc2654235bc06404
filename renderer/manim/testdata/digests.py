# SPDX-License-Identifier: MIT
"""What state digests tell apart, exactly and nearly; and that nothing a scene holds can break them."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from manim import *

_ENGINE = Path(__file__).resolve().parent.parent / "engine"
_spec = importlib.util.spec_from_file_location(
    "meshnode_engine", _ENGINE / "__init__.py", submodule_search_locations=[str(_ENGINE)]
)
sys.modules["meshnode_engine"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["meshnode_engine"])

from meshnode_engine import digest


def take(*mobjects: Mobject, camera: Camera | None = None, time: float = 1.0) -> digest.State:
    renderer = SimpleNamespace(time=time, camera=camera or Camera())
    return digest.take(
        SimpleNamespace(mobjects=list(mobjects), foreground_mobjects=[], renderer=renderer, animations=None)
    )


def expect(what: str, planned: digest.State, here: digest.State, exact: str, near: str) -> None:
    """exact, near: what each comparison must find; "" is nothing."""
    for name, found, wanted in (
        ("exactly", digest.difference(planned, here, exact=True), exact),
        ("nearly", digest.difference(planned, here, exact=False), near),
    ):
        if bool(found) != bool(wanted) or wanted not in found:
            raise SystemExit(f"{what}, {name}: found {found!r}, wanted {wanted!r}")


def scene() -> list[Mobject]:
    return [
        NumberPlane(),
        VGroup(*[Dot([i % 40 / 4 - 5, i // 40 / 4 - 3, 0]) for i in range(1000)]),
        Square(),
    ]


def moved(by: np.ndarray | float, dot: int | None = None) -> list[Mobject]:
    out = scene()
    for mobject in [out[1][dot]] if dot is not None else out[1]:
        mobject.points = mobject.points + by
    return out


def differences() -> None:
    plan, random = take(*scene()), np.random.RandomState(5)
    expect("the same", plan, take(*scene()), "", "")
    for size in (1e-15, 1e-9, 1e-7):
        noise = [moved(random.uniform(-size, size)) for _ in range(3)]
        for other in noise:
            expect(f"off by {size}", plan, take(*other), "last digits of the points of 1000 Dot", "")
    # A rounding boundary between all values and their neighbours is no boundary.
    base = [Dot([(k + 0.5) * 1e-6, 0, 0]) for k in range(500)]
    other = [Dot([(k + 0.5) * 1e-6 + (-1) ** k * 1e-13, 0, 0]) for k in range(500)]
    expect("rounding", take(*base), take(*other), "last digits", "")
    expect(
        "one of 1000 a sixth of a pixel away",
        plan,
        take(*moved(0.0012, 700)),
        "other points of 1000 Dot",
        "other points",
    )
    expect("all a little", plan, take(*moved(1e-4)), "other points of 1000 Dot", "other points")

    swapped = scene()
    swapped[1].submobjects[3], swapped[1].submobjects[4] = swapped[1][4], swapped[1][3]
    expect("two change places", plan, take(*swapped), "other points of 1000 Dot", "other points")
    expect("drawing order", take(Dot(), Square()), take(Square(), Dot()), "another order", "another order")
    expect("one more", plan, take(*scene(), Circle()), "1 Circle here, 0 in the plan", "1 Circle here")
    expect("one less", plan, take(*scene()[:2]), "0 Square here, 1 in the plan", "0 Square here")
    colored = scene()
    colored[2].set_fill(RED, 0.5)
    expect("a colour", plan, take(*colored), "other colours or strokes of 1 Square", "colours or strokes")
    wide = scene()
    wide[2].stroke_width = 5
    expect("a stroke", plan, take(*wide), "other colours or strokes of 1 Square", "colours or strokes")
    longer = scene()
    longer[2].append_points(np.ones((4, 3)))
    expect("another shape", plan, take(*longer), "Square with other numbers of points", "other numbers")
    expect("the time", plan, take(*scene(), time=2.0), "another time", "another time")


def cameras() -> None:
    camera, turned = ThreeDCamera(), ThreeDCamera()
    turned.set_theta(1)
    expect("a turn", take(camera=camera), take(camera=turned), "other points of the camera", "the camera")
    moving, zoomed = MovingCamera(), MovingCamera()
    zoomed.frame.scale(0.5)
    expect("a zoom", take(camera=moving), take(camera=zoomed), "other points of the camera", "the camera")
    blue = Camera(background_color=BLUE)
    expect("a background", take(), take(camera=blue), "the camera", "the camera")
    blue.background_color = "#000000"  # Manim keeps it as it is given
    expect("the same background as text", take(), take(camera=blue), "", "")
    picture = np.full((90, 160, 3), 100, np.uint8)
    spot = picture.copy()
    spot[3, 5] = 101
    a, b, c = (ImageMobject(p) for p in (picture, spot, picture + 30))
    expect("a spot in a picture", take(a), take(b), "other pictures in 1 ImageMobject", "")
    expect("a brighter picture", take(a), take(c), "other pictures", "other pictures")
    inset = ImageMobjectFromCamera(MovingCamera(frame=Rectangle(height=2, width=3)))
    before = take(inset)
    inset.camera.pixel_array[:] = 7
    inset.get_pixel_array()
    expect("a drawn inset", before, take(inset), "", "")
    inset.camera.frame.shift(UP)
    expect("a moved inset", before, take(inset), "the camera", "the camera")


def oddities() -> None:
    """Whatever a scene puts where is no error, and no difference."""

    class Hostile(VMobject):
        @property
        def shape(self) -> Any:
            raise RuntimeError("its own code must not run")

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(name)

    def make() -> list[Mobject]:
        nowhere, words, listed = Dot(), Dot(), Dot()
        nowhere.points = np.full((4, 3), np.nan)
        words.points = np.array(["a", "b"])
        listed.points, listed.z_index, listed.stroke_width = [[1, 2, 3]], "high", np.array([1.0, 2.0])
        whole = Square()
        whole.points = np.arange(12).reshape(4, 3)
        kinds = [type(f"Kind{i}", (Dot,), {})() for i in range(100)]
        return [
            nowhere,
            words,
            listed,
            whole,
            Hostile(),
            Mobject(),
            ValueTracker(3),
            Group(),
            PMobject(),
            *kinds,
        ]

    expect("oddities", take(*make()), take(*make()), "", "")
    changed = make()
    changed[-1].shift(UP)
    impossible = Dot()
    impossible.points = np.zeros((2, 3), object)
    expect("arrays of objects", take(impossible), take(impossible), "", "")
    camera = Camera()
    camera._background_color = 3 + 4j
    expect("no colour", take(camera=camera), take(camera=camera), "", "")
    expect("of many kinds the last", take(*make()), take(*changed), "other mobjects", "other points")


def samples() -> None:
    path = Path(tempfile.mkdtemp()) / "digests"
    states = [take(*scene()[: i % 4], time=i) for i in range(10)]

    def walk(samples: digest.Samples, first: int, end: int, wrong: int = -1) -> list[str]:
        return [
            samples.note(i // 4, i % 4, states[(i + 1) % 10 if i == wrong else i]) for i in range(first, end)
        ]

    leader = digest.Samples()
    walk(leader, 0, 4)
    forks = [digest.Samples() for _ in range(2)]
    for fork in forks:
        walk(fork, 0, 4)
        fork.mark()
    walk(leader, 4, 10)
    leader.save(path)
    plan = digest.load(path)
    walk(forks[0], 4, 7)
    walk(forks[1], 4, 7, wrong=5)
    assert digest.agrees(plan, forks[0].own())
    assert not digest.agrees(plan, forks[1].own())
    forks[0].follow(path, exact=True)
    assert forks[0].own() is None
    assert walk(forks[0], 7, 10) == ["", "", ""]
    follower = digest.Samples()
    follower.follow(path, exact=True)
    found = walk(follower, 0, 10, wrong=6)
    assert [i for i, text in enumerate(found) if text] == [6], found
    assert follower.note(9, 9, states[0]) == ""  # the plan has no more


for test in (differences, cameras, oddities, samples):
    test()
