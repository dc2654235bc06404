# SPDX-License-Identifier: MIT
"""From cells back to what Manim's own writer would have in its hands at the end of a scene."""

from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from . import demux
from .encode import add_stream


def check_headers(cells: dict[int, list[str]], encoder: dict[str, Any]) -> bytes | None:
    """Refuse cells (files by number) that do not decode alike: a film has one set of headers. It is returned."""
    first: tuple[int, bytes | None] | None = None
    for number, paths in sorted(cells.items()):
        for path in paths:
            with demux.opened(path, encoder) as source:
                headers = source.streams.video[0].codec_context.extradata
            first = first or (number, headers)
            if headers != first[1]:
                raise RuntimeError(
                    f"cells {first[0]} and {number} come from encoders that do not fit together"
                )
    return first[1] if first else None


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
    encoder = spec["encoder"]
    name = f"film.{encoder['container']}"
    form = demux.own_form(encoder, folder)
    join(paths, folder / name, encoder, form if check_headers(cells, encoder) == form.headers else None)
    return [name]


def join(cells: list[str], target: Path, encoder: dict[str, Any], form: demux.Form | None) -> None:
    """Make one partial movie file of a play's cells, without encoding again.

    Of the cells only the packets are taken: the file is written anew, also of a single one.

    form: what one's own encoder writes, of which the cells are. None, where the headers are others, as another computer
    may finish a film: what the first cell says of itself holds for the film.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        _remux(cells, part, encoder, form)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _remux(cells: list[str], part: Path, encoder: dict[str, Any], form: demux.Form | None) -> None:
    """Times are taken back to frame numbers and on from there: adding offsets to rounded times would drift."""
    tick = 1 / Fraction(*encoder["rate"])
    stream = out = None
    base, last = 0, None
    try:
        for path in cells:
            with demux.opened(path, encoder) as source:
                video = source.streams.video[0]
                if out is None:
                    out, stream = _begin(part, encoder, form, video)
                frames = 0
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue
                    pts = base + round(packet.pts * video.time_base / tick)
                    dts = base + round(packet.dts * video.time_base / tick)
                    if last is not None and dts <= last:
                        dts = last + 1  # cells shorter than the encoder's delay overlap by it
                    last = dts
                    packet.pts, packet.dts, packet.duration, packet.time_base = pts, dts, 1, tick
                    packet.stream = stream
                    out.mux(packet)
                    frames += 1
                base += frames
    finally:
        if out is not None:
            out.close()


def _begin(part: Path, encoder: dict[str, Any], form: demux.Form | None, video: Any) -> tuple[Any, Any]:
    """A file to write, and its stream: headed by one's own encoder, or like another stream where there is no form."""
    options = {"fflags": "+bitexact"}
    if form is None and encoder["container"] in ("mp4", "mov"):
        # Else old versions of PyAV pick another time base than the files of whole plays have.
        options["video_track_timescale"] = str(video.time_base.denominator)
    out = av.open(str(part), "w", format=encoder["container"], container_options=options)
    if form is None:
        return out, _copy_of(out, video, encoder["pixel_format"])
    stream = add_stream(out, encoder, encoder["options"])
    stream.codec_context.open()
    if form.headers:  # as they are in files: the encoder's own have another form
        stream.codec_context.extradata = form.headers
    return out, stream


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
