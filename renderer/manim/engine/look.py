# SPDX-License-Identifier: MIT
"""A look at what a stranger has rendered, before anybody else opens it: is it a cell of this job?"""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from .encode import VideoCell
from .meter import Meter


def fault(paths: list[str], spec: dict[str, Any], frames: int, images: int, folder: Path) -> str:
    """What is wrong with the files of a cell; "" if nothing. All frames are decoded.

    folder: where a film of one frame may be written, to see what headers one's own have.
    """
    encoder, pictures = spec["encoder"], spec["kind"] == "images"
    headers = None if pictures else _headers(encoder, folder)
    try:
        if pictures:
            return _images(paths, encoder, images)
        if len(paths) != 1:
            return f"{len(paths)} files in place of a film"
        return _film(paths[0], encoder, headers, frames)
    except Exception as error:  # noqa: BLE001 - a stranger's file
        return f"it cannot be decoded: {type(error).__name__}"


def _images(paths: list[str], encoder: dict[str, Any], images: int) -> str:
    if len(paths) != images:
        return f"{len(paths)} pictures, {images} expected"
    for path in paths:
        with Image.open(path, formats=("PNG",)) as image:
            if image.size != (encoder["width"], encoder["height"]):
                return "a picture of another size"
            image.load()
    return ""


def _headers(encoder: dict[str, Any], folder: Path) -> bytes | None:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".look") as place:
        cell = VideoCell(Path(place), 0, encoder, Meter())
        cell.write(np.zeros((encoder["height"], encoder["width"], 4), np.uint8))
        with av.open(cell.finish()[0]) as source:
            return source.streams.video[0].codec_context.extradata


def _film(path: str, encoder: dict[str, Any], headers: bytes | None, frames: int) -> str:
    tick = 1 / Fraction(*encoder["rate"])
    with av.open(path) as source:
        if len(source.streams) != 1 or len(source.streams.video) != 1:
            return "it has not one stream of pictures"
        stream = source.streams.video[0]
        if stream.codec_context.extradata != headers:
            return "its headers are not those of the other parts"
        count = 0
        for frame in source.decode(stream):
            if (frame.width, frame.height) != (encoder["width"], encoder["height"]):
                return "its pictures are of another size"
            if count == frames:
                return f"more than {frames} frames"
            if frame.pts is None or round(frame.pts * stream.time_base / tick) != count:
                return f"frame {count} is not at its time"
            count += 1
    return "" if count == frames else f"{count} frames, {frames} expected"
