# SPDX-License-Identifier: MIT
"""From cells back to what Manim's own writer would have in its hands at the end of a scene."""

from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av


def check_headers(cells: dict[int, list[str]]) -> None:
    """Refuse cells (files by number) that do not decode alike: a film has one set of headers, that of its first cell."""
    first: tuple[int, bytes | None] | None = None
    for number, paths in sorted(cells.items()):
        for path in paths:
            with av.open(path) as source:
                headers = source.streams.video[0].codec_context.extradata
            first = first or (number, headers)
            if headers != first[1]:
                raise RuntimeError(
                    f"cells {first[0]} and {number} come from encoders that do not fit together"
                )


def film(spec: dict[str, Any], cells: dict[int, list[str]], folder: Path) -> list[str]:
    """Make a film of a job's cells (files by number) alone, and return its files relative to folder.

    Manim's writer has no part in it: there is no sound, and no sections. Pictures are numbered from 0.
    """
    paths = [path for _, files in sorted(cells.items()) for path in files]
    if spec["kind"] == "images":
        names = [f"film/{number:04d}{Path(path).suffix}" for number, path in enumerate(paths)]
        (folder / "film").mkdir()
        for path, name in zip(paths, names, strict=True):
            shutil.copyfile(path, folder / name)
        return names
    check_headers(cells)
    name = f"film.{spec['encoder']['container']}"
    join(paths, folder / name, spec["encoder"])
    return [name]


def join(cells: list[str], target: Path, encoder: dict[str, Any]) -> None:
    """Make one partial movie file of a play's cells, without encoding again.

    Times are taken back to frame numbers and on from there: adding offsets to rounded times would drift.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if len(cells) == 1:
            shutil.copyfile(cells[0], part)
        else:
            _remux(cells, part, encoder)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _remux(cells: list[str], part: Path, encoder: dict[str, Any]) -> None:
    tick = 1 / Fraction(*encoder["rate"])
    options = {"fflags": "+bitexact"}
    stream = out = None
    base, last = 0, None
    try:
        for path in cells:
            with av.open(path) as source:
                video = source.streams.video[0]
                time_base = video.time_base
                if out is None:
                    if encoder["container"] in ("mp4", "mov"):
                        # Else old versions of PyAV pick another time base than the files of whole plays have.
                        options["video_track_timescale"] = str(time_base.denominator)
                    out = av.open(str(part), "w", format=encoder["container"], container_options=options)
                    stream = _copy_of(out, video, encoder["pixel_format"])
                frames = 0
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue
                    pts = base + round(packet.pts * time_base / tick)
                    dts = base + round(packet.dts * time_base / tick)
                    if last is not None and dts <= last:
                        dts = last + 1  # cells shorter than the encoder's delay overlap by it
                    last = dts
                    packet.pts = _half_up(pts * tick / time_base)
                    packet.dts = _half_up(dts * tick / time_base)
                    packet.duration = _half_up(tick / time_base)  # the last one of a cell may be read as less
                    packet.stream = stream
                    out.mux(packet)
                    frames += 1
                base += frames
    finally:
        if out is not None:
            out.close()


def _copy_of(out: Any, video: Any, pixel_format: str) -> Any:
    if hasattr(out, "add_stream_from_template"):
        stream = out.add_stream_from_template(video)
    else:
        stream = out.add_stream(template=video)
    try:
        stream.time_base = video.time_base
    except (AttributeError, RuntimeError):
        pass  # old versions do not let it be set; the time scale above does it
    if pixel_format == "yuva420p":
        stream.pix_fmt = pixel_format  # else the mark that a webm has alpha is lost
    return stream


def _half_up(value: Fraction) -> int:
    return int(value + Fraction(1, 2)) if value >= 0 else -int(-value + Fraction(1, 2))
