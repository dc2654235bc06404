# SPDX-License-Identifier: MIT
"""Outlines of TeX, text and SVG files: walkers make them in the same folders, one at a time and without traces.

Manim writes a modified copy of an SVG beside its source, and LaTeX runs tidy their folder up. Whose turn it is, the hub
says: a walker that dies in its turn loses it, which neither a lock file nor a process number in it would tell, and a
sandbox has no locks on files.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import manim
from manim.mobject.svg.svg_mobject import SVGMobject
from manim.mobject.text import text_mobject

from .walker import Walker


def install(walker: Walker) -> None:
    """Wrap what makes outlines."""
    _copy_sources(walker.folder)
    one_at_a_time = _one_at_a_time(walker)
    shared: dict[Callable, Callable] = {}
    for name in ("tex_to_svg_file", "typst_to_svg_file"):
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith("manim.") and callable(vars(module).get(name)):
                function = vars(module)[name]
                setattr(module, name, shared.setdefault(function, one_at_a_time(function)))
    for kind in (manim.Text, manim.MarkupText):
        kind._text2svg = one_at_a_time(kind._text2svg)
    pango = text_mobject.PangoUtils
    pango.remove_last_M = staticmethod(one_at_a_time(_whole(pango.remove_last_M, walker)))


def _whole(rewrite: Callable[[str], None], walker: Walker) -> Callable[[str], None]:
    """Text rewrites its SVG, every time that it is made: others may be reading it, so it must always be whole."""

    def rewritten(file_name: str) -> None:
        part = f"{file_name}.{os.getpid()}.tmp"
        with walker.unseen():
            shutil.copyfile(file_name, part)
            rewrite(part)
            if filecmp.cmp(file_name, part, shallow=False):
                os.unlink(part)
            else:
                os.replace(part, file_name)

    return rewritten


def _copy_sources(scratch: Path) -> None:
    generate = SVGMobject.generate_mobject

    def generate_mobject(self: SVGMobject) -> Any:
        source = self.get_file_path()
        with tempfile.TemporaryDirectory(prefix=".svg-", dir=scratch) as folder:
            copy = shutil.copyfile(source, Path(folder) / source.name)
            self.get_file_path = lambda: copy
            try:
                return generate(self)
            finally:
                del self.get_file_path

    SVGMobject.generate_mobject = generate_mobject


def _one_at_a_time(walker: Walker) -> Callable[[Callable], Callable]:
    threads = threading.Lock()  # of this walker; it is not forked while there are others than the first

    @contextmanager
    def turn() -> Iterator[None]:
        if not walker.is_here():  # a process of the scene's own, which has no channel
            yield
            return
        with threads:
            # A thread must not take what the first one hears from the hub: it goes without a turn.
            ours = threading.current_thread() is threading.main_thread()
            if ours:
                walker.await_turn()
            try:
                yield
            finally:
                if ours:
                    walker.end_turn()

    def wrap(function: Callable) -> Callable:
        def made(*args: Any, **kwargs: Any) -> Any:
            with turn(), walker.meter.outlining():
                return function(*args, **kwargs)

        return made

    return wrap
