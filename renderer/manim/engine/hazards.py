# SPDX-License-Identifier: MIT
"""What a scene asks its computer for, and all walks must be told alike: chance, time, and the order of sets.

Only the scene's own code is answered otherwise than by the system, and the user told, once for each kind: libraries keep
the real clock and real entropy. Whose code asks is read from the frame that calls.
"""

from __future__ import annotations

import builtins
import ctypes
import datetime
import functools
import gc
import hashlib
import itertools
import os
import random
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from manim import Scene
from manim.mobject.mobject import Mobject
from manim.renderer.cairo_renderer import CairoRenderer

from . import audit, source
from .trace import _environment, _inside

_BETWEEN = ("random", "secrets", "uuid", __name__)  # pass on what their callers ask for
_TICK = 10_000  # nanoseconds by which each look at the clock moves it: loops that wait for a time end


class Refused(BaseException):
    """The command or its scene asks for something that is not supported: a usage error."""


class Asked:
    """Who asks, and what of it the user has been told."""

    def __init__(self, ours: list[str], tell: Callable[[str], None]) -> None:
        """ours: folders of the engine; tell: takes one line for the user."""
        self._libraries = [*_environment(), *ours]
        self._tell = tell
        self._told: set[str] = set()

    def scene(self) -> tuple[str, str] | None:
        """If it is the scene's own code: by which function, and where. Else None."""
        frame, by = _asker()
        if frame is None or not self.is_scene(frame.f_globals.get("__file__")):
            return None
        return by, f"{os.path.basename(frame.f_code.co_filename)}, line {frame.f_lineno}"

    @functools.cache  # noqa: B019 - there is one per process
    def is_scene(self, file: str | None) -> bool:
        """Whether a module's file is the user's: not of Python, of the installed packages, or of the engine."""
        return file is not None and not any(
            _inside(os.path.abspath(file), folder) for folder in self._libraries
        )

    def tell(self, kind: str, text: str) -> None:
        """Tell the user, once of a kind."""
        if kind not in self._told:
            self._told.add(kind)
            self._tell(text)


def _asker() -> tuple[FrameType | None, str]:
    """Who called a function of this module, and by which one of those that pass on what they are asked."""
    frame, by = sys._getframe(1), ""
    while frame is not None and (name := frame.f_globals.get("__name__")) in _BETWEEN:
        if name != __name__:
            by = f"{name}.{frame.f_code.co_name}"
        frame = frame.f_back
    return frame, by


def watch_network(asked: Asked) -> None:
    """Tell the user when the scene, or a library for it, connects to something."""

    def connected(_socket: Any, address: Any) -> None:
        if isinstance(address, tuple):
            host, port = address[:2]
            asked.tell(
                "network",
                f"the scene uses the network ({host}, port {port}): other nodes have none, "
                "and leave the job where it fails without",
            )

    audit.listen("socket.connect", connected)


def _is_python(frame: FrameType | None) -> bool:
    """Whether it is Python's own library that asks: names of temporary files must differ between processes."""
    return frame is None or str(frame.f_globals.get("__name__")).partition(".")[0] in sys.stdlib_module_names


def plan(script: Path) -> dict[str, Any]:
    """What all walks of a plan that begins now must have in common."""
    now = time.time()
    tree = source.parse(script.read_bytes() if script.is_file() else b"")
    return {"epoch": now, "zone": _zone(now), "sets": source.makes_sets(tree)}


def install(asked: Asked, seed: int, common: dict[str, Any]) -> None:
    """Take over what follows, before the script is imported. common: of plan."""
    _Chance(asked, seed).install()
    _Clock(asked, common["epoch"]).install()
    _refuse_questions(asked)
    if common["sets"]:
        _order_mobjects()


class _Chance:
    """Numbers that no seed fixes are made from the job's."""

    def __init__(self, asked: Asked, seed: int) -> None:
        self._asked = asked
        self._seed = seed
        self._calls = itertools.count(1)

    def bytes(self, n: int) -> bytes:
        return hashlib.shake_256(b"%d %d" % (self._seed, next(self._calls))).digest(n)

    def _note(self, what: str, place: str) -> None:
        self._asked.tell(
            "chance",
            f"the scene draws numbers that no seed fixes ({what} in {place}): they are made from the job's seed here",
        )

    def install(self) -> None:
        default_rng, urandom, uuid1, seed_of = (
            np.random.default_rng,
            os.urandom,
            uuid.uuid1,
            random.Random.seed,
        )

        def new_default_rng(seed: Any = None) -> np.random.Generator:
            if seed is None:
                seed = int.from_bytes(self.bytes(16), "big")
                if scene := self._asked.scene():
                    self._note("default_rng()", scene[1])
            return default_rng(seed)

        def new_urandom(size: int, /, *args: Any) -> bytes:
            if scene := self._asked.scene():
                self._note(scene[0] or "os.urandom", scene[1])
                return self.bytes(size)
            return urandom(size)

        def new_uuid1(node: Any = None, clock_seq: Any = None) -> uuid.UUID:
            if scene := self._asked.scene():
                self._note("uuid.uuid1", scene[1])
                return uuid.UUID(bytes=self.bytes(16), version=1)
            return uuid1(node, clock_seq)

        def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
            if a is None and not _is_python(_asker()[0]):
                if scene := self._asked.scene():
                    self._note("random.Random()", scene[1])
                a = int.from_bytes(self.bytes(16), "big")
            seed_of(generator, a, version)

        np.random.default_rng = new_default_rng
        os.urandom = random._urandom = new_urandom  # of SystemRandom, secrets, uuid4, and numpy's seeds
        if hasattr(os, "getrandom"):
            os.getrandom = new_urandom
        uuid.uuid1 = new_uuid1
        random.Random.seed = seed
        random.seed = random._inst.seed


class _Clock:
    """The scene's clock: the time at which the plan was begun, and the film's own time since."""

    def __init__(self, asked: Asked, epoch: float) -> None:
        self._asked = asked
        self._epoch = round(epoch * 1e9)
        self._renderer: Any = None  # the last one made
        self._looks = 0  # nanoseconds
        self._slept = 0  # nanoseconds

    def _now(self) -> int:
        """Nanoseconds since the plan was begun."""
        self._looks += _TICK
        film = round(self._renderer.time * 1e9) if self._renderer is not None else 0
        return film + self._slept + self._looks

    def _asks(self, what: str) -> bool:
        scene = self._asked.scene()
        if scene:
            self._asked.tell(
                "clock",
                f"the scene reads the clock ({what} in {scene[1]}): it is told the time of the film, not of the render",
            )
        return scene is not None

    def install(self) -> None:
        make = CairoRenderer.__init__

        @functools.wraps(make)
        def remember(renderer: CairoRenderer, *args: Any, **kwargs: Any) -> None:
            self._renderer = renderer
            make(renderer, *args, **kwargs)

        CairoRenderer.__init__ = remember
        for name, since in (
            ("time", self._epoch),
            ("monotonic", 0),
            ("perf_counter", 0),
            ("process_time", 0),
        ):
            self._replace(name, lambda since=since: (since + self._now()) / 1e9)
            self._replace(name + "_ns", lambda since=since: since + self._now())
        for name in ("localtime", "gmtime", "ctime"):
            self._replace_optional(name, 0, self._time)
        for name, given in (("asctime", 0), ("strftime", 1)):
            self._replace_optional(name, given, lambda: time.localtime(self._time()))
        sleep = time.sleep

        def slept(seconds: float, /) -> None:
            if self._asked.scene():
                self._slept += round(seconds * 1e9)
            sleep(seconds)

        time.sleep = slept
        self._install_dates()

    def _time(self) -> float:
        return (self._epoch + self._now()) / 1e9

    def _replace(self, name: str, answer: Callable[[], Any]) -> None:
        original = getattr(time, name, None)
        if original is not None:
            setattr(time, name, lambda: answer() if self._asks(f"time.{name}") else original())

    def _replace_optional(self, name: str, given: int, now: Callable[[], Any]) -> None:
        """A function that takes the present for an argument that is missing, or None, after so many."""
        original = getattr(time, name)

        def answer(*args: Any) -> Any:
            if args[given:] in ((), (None,)) and self._asks(f"time.{name}"):
                args = (*args[:given], now())
            return original(*args)

        setattr(time, name, answer)

    def _install_dates(self) -> None:
        """Of datetime: today() asks time.time, now() the system. Its class cannot be another one (pickles, type(x) is
        datetime), and does not let itself be changed: so its dictionary is.
        """
        kind = datetime.datetime
        now, utcnow = kind.__dict__["now"], kind.__dict__["utcnow"]

        def new_now(cls: type, tz: Any = None) -> Any:
            if not self._asks("datetime.now"):
                return now.__get__(None, cls)(tz)
            return cls.fromtimestamp(self._time(), tz)

        def new_utcnow(cls: type) -> Any:
            if not self._asks("datetime.utcnow"):
                return utcnow.__get__(None, cls)()
            return cls.fromtimestamp(self._time(), datetime.UTC).replace(tzinfo=None)

        attributes = gc.get_referents(kind.__dict__)[0]
        if isinstance(attributes, dict) and attributes.get("now") is now:
            attributes.update(now=classmethod(new_now), utcnow=classmethod(new_utcnow))
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


def _zone(at: float) -> str:
    """The local time zone at that moment, for another machine's TZ."""
    local = time.localtime(at)
    east, name = local.tm_gmtoff // 60, local.tm_zone
    name = name if name.replace("+", "").replace("-", "").isalnum() and len(name) > 2 else "LOCAL"
    return f"<{name}>{'-' if east > 0 else '+'}{abs(east) // 60:02}:{abs(east) % 60:02}"


def _refuse_questions(asked: Asked) -> None:
    """Nobody is there to answer."""
    ask = builtins.input

    def refused(prompt: object = "", /) -> str:
        if scene := asked.scene():
            raise Refused(f"the scene asks for input ({scene[1]}): nobody can answer while it is rendered")
        return ask(prompt)

    builtins.input = refused

    def no_shell(scene: Scene, *args: Any, **kwargs: Any) -> None:
        _, place = asked.scene() or ("", "a library")
        raise Refused(f"the scene opens a shell ({place}): nobody can use it while it is rendered")

    for name in ("embed", "interactive_embed"):
        if hasattr(Scene, name):
            setattr(Scene, name, no_shell)


def _order_mobjects() -> None:
    """Sets of mobjects are ordered by hash, which is an address: other in every process. Let it be the order of creation.

    Kept beside the mobjects: Manim hashes what they hold for the names of its files. It costs up to a sixth of the walk,
    as Manim puts families through dictionaries in every frame.
    """
    made, order = itertools.count(1), {}

    def __new__(cls: type, *args: Any, **kwargs: Any) -> Any:
        new = super(Mobject, cls).__new__
        self = new(cls) if new is object.__new__ else new(cls, *args, **kwargs)
        order[id(self)] = next(made) * 0x9E3779B97F4A7C15 & 0x0FFFFFFFFFFFFFFF  # as far apart as addresses
        return self

    def __hash__(self: Mobject) -> int:
        return order.get(id(self), id(self))

    Mobject.__new__ = __new__
    Mobject.__hash__ = __hash__
