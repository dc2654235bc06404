# SPDX-License-Identifier: MIT
"""The grid of cells: the same pure function of the frame table as job.Grid in Go."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

MIN_CELL = 60  # frames of a cell at least: every cut costs a key frame
FROZEN_SECONDS = 30  # length of a cell of a frozen play


@dataclass(frozen=True)
class Play:
    """One Scene.play or wait of the frame table."""

    frames: int  # 0: skipped, or its partial movie file exists already
    frozen: bool


@dataclass(frozen=True)
class Cell:
    """A run of frames inside one play."""

    index: int
    play: int
    first: int  # counted from the start of the scene
    frames: int
    image: int  # frames of a PNG sequence before it
    images: int  # frames of a PNG sequence in it: a frozen play writes one, in its first cell

    @property
    def end(self) -> int:
        return self.first + self.frames


def lengths(fps: float, cell_frames: int) -> tuple[int, int]:
    """Frames of a full cell of a moving and of a frozen play."""
    if cell_frames > 0:
        return cell_frames, cell_frames
    return max(MIN_CELL, floor(fps + 0.5)), max(MIN_CELL, floor(fps * FROZEN_SECONDS + 0.5))


def cells(plays: list[Play], fps: float, cell_frames: int) -> list[Cell]:
    """The cells of a frame table, in order."""
    moving, frozen = lengths(fps, cell_frames)
    out: list[Cell] = []
    first = image = 0
    for i, play in enumerate(plays):
        length = frozen if play.frozen else moving
        left = play.frames
        while left > 0:
            n = left
            if left >= length and not 0 < 2 * (left - length) < length:
                n = length
            images = n if not play.frozen else int(left == play.frames)
            out.append(Cell(len(out), i, first, n, image, images))
            first += n
            image += images
            left -= n
    return out
