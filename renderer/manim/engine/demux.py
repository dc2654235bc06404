# SPDX-License-Identifier: MIT
"""Reading films that strangers have written: as what they should be, and as nothing else."""

from __future__ import annotations

import os
import shutil
from dataclasses import astuple, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from .encode import VideoCell
from .meter import Meter


def opened(path: str, encoder: dict[str, Any]) -> Any:
    """A cell's film, to read. The caller closes it.

    libav would guess the format from the bytes and the name, and some formats are lists of other files. So it is told,
    and opens nothing but this file.
    """
    return av.open(path, format=encoder["container"], options={"protocol_whitelist": "file"})


@dataclass(frozen=True)
class Form:
    """What all films of one encoder have in common, as it is read."""

    codec: str
    pixel_format: str
    width: int
    height: int
    time_base: Fraction
    headers: bytes | None

    @classmethod
    def of(cls, stream: Any) -> Form:
        context = stream.codec_context
        return cls(
            context.codec.name,
            context.pix_fmt,
            context.width,
            context.height,
            stream.time_base,
            context.extradata,
        )

    def differs(self, other: Form) -> str:
        """In what another form differs, for people; "" if in nothing."""
        mine, others = astuple(self), astuple(other)
        return next(
            (
                field.name.replace("_", " ")
                for field, a, b in zip(fields(self), mine, others, strict=True)
                if a != b
            ),
            "",
        )


def own_form(encoder: dict[str, Any], folder: Path) -> Form:
    """The form of what is written here: of a film of one frame, which is made in folder for that."""
    place = folder / f".form.{os.getpid()}"
    place.mkdir()
    try:
        cell = VideoCell(place, 0, encoder, Meter())
        cell.write(np.zeros((encoder["height"], encoder["width"], 4), np.uint8))
        (path,) = cell.finish()
        with opened(path, encoder) as source:
            return Form.of(source.streams.video[0])
    finally:
        shutil.rmtree(place)
