# SPDX-License-Identifier: MIT
"""A look at what a stranger has rendered, before anybody else opens it: is it a cell of this job?"""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from . import demux

PNG = b"\x89PNG\r\n\x1a\n"


def fault(paths: list[str], spec: dict[str, Any], frames: int, images: int, folder: Path) -> str:
    """What is wrong with the files of a cell; "" if nothing. All frames are decoded.

    folder: where a film of one frame may be written, to see what one's own are like.
    """
    encoder, pictures = spec["encoder"], spec["kind"] == "images"
    form = None if pictures else demux.own_form(encoder, folder)
    names = [f"{number:08}.png" for number in range(images)] if pictures else [f"cell.{encoder['container']}"]
    if len(paths) != len(names):
        return f"{len(paths)} files, {len(names)} expected"
    if [Path(path).name for path in paths] != names:
        return "its files have other names"
    try:
        if form is None:
            return _images(paths, encoder)
        return _film(paths[0], encoder, form, frames)
    except Exception as error:  # noqa: BLE001 - a stranger's file
        return f"it cannot be decoded: {type(error).__name__}"


def _images(paths: list[str], encoder: dict[str, Any]) -> str:
    for path in paths:
        if found := _chunks(Path(path).read_bytes(), encoder):
            return found
        with Image.open(path, formats=("PNG",)) as image:
            image.load()
    return ""


def _chunks(data: bytes, encoder: dict[str, Any]) -> str:
    """Whether there is more in a picture than its pixels: all else would reach who reads the user's pictures."""
    at = len(PNG)
    if data[:at] != PNG:
        return "it is no PNG"
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            return "a picture with more than pixels in it"
        if kind == b"IHDR" and data[at + 8 : at + 8 + length] != struct.pack(
            ">IIBBBBB", encoder["width"], encoder["height"], 8, 6, 0, 0, 0
        ):
            return "a picture of another size or kind"
        at += 12 + length
        if kind == b"IEND":
            break
    return "" if at == len(data) else "a picture with something behind it"


def _film(path: str, encoder: dict[str, Any], form: demux.Form, frames: int) -> str:
    tick = 1 / Fraction(*encoder["rate"])
    with demux.opened(path, encoder) as source:
        if len(source.streams) != 1 or len(source.streams.video) != 1:
            return "it has not one stream of pictures"
        stream = source.streams.video[0]
        if found := form.differs(demux.Form.of(stream)):
            return f"it differs from the other parts: {found}"
        count = 0
        for frame in source.decode(stream):
            if (frame.width, frame.height, frame.format.name) != (form.width, form.height, form.pixel_format):
                return "its pictures are of another size or kind"
            if count == frames:
                return f"more than {frames} frames"
            if frame.pts is None or round(frame.pts * stream.time_base / tick) != count:
                return f"frame {count} is not at its time"
            count += 1
    return "" if count == frames else f"{count} frames, {frames} expected"
