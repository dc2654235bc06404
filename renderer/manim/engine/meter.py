# SPDX-License-Identifier: MIT
"""Where a walker's time goes, for those who want to know why a scene takes long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, process_time, thread_time  # these, before the scene's clock takes their places


class Meter:
    """Seconds spent so far: of the processor, unless it says otherwise."""

    def __init__(self) -> None:
        self.raster = 0.0  # drawing
        self.encode = 0.0  # encoding and writing, which a thread of its own may do
        self.outlines = 0.0  # making TeX and text outlines: by the clock, as LaTeX is another process
        self.outlines_here = 0.0  # of that, this process

    @contextmanager
    def rastering(self) -> Iterator[None]:
        begin = thread_time()
        try:
            yield
        finally:
            self.raster += thread_time() - begin

    @contextmanager
    def encoding(self) -> Iterator[None]:
        begin = thread_time()
        try:
            yield
        finally:
            self.encode += thread_time() - begin

    @contextmanager
    def outlining(self) -> Iterator[None]:
        begin, here = monotonic(), process_time()
        try:
            yield
        finally:
            self.outlines += monotonic() - begin
            self.outlines_here += process_time() - here
