# SPDX-License-Identifier: MIT
"""Two renderings of a cell, picture by picture: do they show the same, as far as anybody could see?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import demux

# What Manim's own tests take for equal: of 100,000 values, fewer than one may differ by more than one.
TOLERANCE, ONE_IN = 1, 100_000
LOSSLESS = {"qtrle", "png", "gif", "rawvideo", "ffv1"}
BLOCK = 16  # pixels, as wide and high as what an encoder works on
NOISE = 20.0  # of 255: how far two encoders may be apart in a block, in the root of its mean square


def difference(own: list[str], other: list[str], encoder: dict[str, Any]) -> str:
    """What another rendering shows otherwise than one's own; "" if nothing. An error: one's own cannot be read."""
    if [Path(path).name for path in own] != [Path(path).name for path in other]:
        return f"{len(other)} files of other names"
    for mine, others in zip(own, other, strict=True):
        lossy = not mine.endswith(".png") and _codec(mine, encoder) not in LOSSLESS
        theirs = _pictures(others, encoder)
        for number, picture in enumerate(_pictures(mine, encoder)):
            try:
                that = next(theirs, None)
            except Exception as error:  # noqa: BLE001 - a stranger's file
                return f"it cannot be decoded: {type(error).__name__}"
            if that is None:
                return f"it ends after {number} frames"
            if that.shape != picture.shape:
                return "its pictures are of another size"
            if found := (_blocks if lossy else _values)(picture, that):
                return f"frame {number}: {found}"
        try:
            if next(theirs, None) is not None:
                return "it has more frames"
        except Exception as error:  # noqa: BLE001
            return f"it cannot be decoded: {type(error).__name__}"
    return ""


def _codec(path: str, encoder: dict[str, Any]) -> str:
    with demux.opened(path, encoder) as source:
        return source.streams.video[0].codec_context.name


def _pictures(path: str, encoder: dict[str, Any]) -> Iterator[np.ndarray]:
    if path.endswith(".png"):
        with Image.open(path, formats=("PNG",)) as image:
            yield np.asarray(image.convert("RGBA"))
        return
    with demux.opened(path, encoder) as source:
        for frame in source.decode(video=0):
            yield frame.to_ndarray(format="rgba")


def _values(a: np.ndarray, b: np.ndarray) -> str:
    differ = int(np.count_nonzero(np.abs(a.astype(np.int16) - b) > TOLERANCE))
    return f"{differ} of {a.size} values differ" if differ * ONE_IN >= a.size and differ else ""


def _blocks(a: np.ndarray, b: np.ndarray) -> str:
    square = ((a.astype(np.float32) - b) ** 2).mean(axis=2)
    high, wide = (-(-side // BLOCK) * BLOCK for side in square.shape)
    padded = np.zeros((high, wide), np.float32)
    padded[: square.shape[0], : square.shape[1]] = square
    blocks = padded.reshape(high // BLOCK, BLOCK, wide // BLOCK, BLOCK).mean(axis=(1, 3))
    worst = float(np.sqrt(blocks.max()))
    return f"blocks differ by up to {worst:.0f} of 255" if worst > NOISE else ""
