# SPDX-License-Identifier: MIT
"""Writing a cell: its frames through Manim's own codec settings, so that the bytes depend on the environment alone."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from fractions import Fraction
from math import log2
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from .meter import Meter
from .threads import Background

WAITING = 2  # pictures drawn and not yet encoded
LOOKAHEAD = 40  # frames that x264 (preset medium) looks ahead
QP_PER_DOUBLING = 2  # x264's macroblock tree: 5 * (1 - qcomp), with qcomp 0.6
SHORT = 8  # frames: for shorter parts the macroblock tree is left out,
SHORT_QP_PER_DOUBLING = 3  # and this takes its place, with a margin: no scene tried lost by it
I_FRAME_RATIO = 1.4  # x264's default; a zone does not reach the first frame without the tree
VP9_STEPS = 63 / 51  # of the quantizer, for each of x264's


def options_for_part(encoder: dict[str, Any], frames: int, play_frames: int) -> dict[str, str]:
    """The encoder's options for a cell that is a part of a play, so that it looks no worse than the whole play would.

    The encoder spends bits on a picture by how long later ones refer to it: its quantizer falls by two for each doubling
    of the frames it sees ahead of what stands still. A cell that is shorter than both its play and the look-ahead gets
    that back. Whole plays, and long parts, are encoded exactly as Manim would. For x264 it is a zone over the whole cell:
    another rate factor would change the headers, which all cells of a film share.
    """
    options = dict(encoder["options"])
    seen = min(LOOKAHEAD, play_frames)
    if frames >= seen or float(options.get("crf", 0)) == 0:
        return options
    short = frames < SHORT
    finer = (SHORT_QP_PER_DOUBLING if short else QP_PER_DOUBLING) * log2(seen / frames)
    if encoder["codec"] == "libx264" and "zones" not in options.get("x264-params", ""):
        factor = 2 ** (finer / 6)  # six quantizer steps double the bits
        own = [options.get("x264-params"), f"zones=0,{1 << 20},b={factor:.3f}"]
        if short:
            own.append(f"mbtree=0:ipratio={I_FRAME_RATIO * factor:.3f}")
        options["x264-params"] = ":".join(filter(None, own))
    elif encoder["codec"] == "libvpx-vp9":
        options["crf"] = str(max(1, round(float(options["crf"]) - finer * VP9_STEPS)))
    return options


def add_stream(container: Any, encoder: dict[str, Any], options: dict[str, str]) -> Any:
    """A stream of pictures in a file to write, with an encoder of one thread."""
    stream = container.add_stream(
        encoder["codec"], rate=Fraction(*encoder["rate"]), options={**options, "threads": "1"}
    )
    stream.pix_fmt = encoder["pixel_format"]
    stream.width, stream.height = encoder["width"], encoder["height"]
    stream.codec_context.thread_count = 1
    return stream


class VideoCell:
    """One video file: one thread of the encoder and a bit-exact muxer make it the same on every run and any number of
    cores. That thread is not the one that draws: where a core is idle, the next picture is drawn meanwhile.
    """

    def __init__(
        self,
        folder: Path,
        index: int,
        encoder: dict[str, Any],
        meter: Meter,
        frames: int = 1,
        play_frames: int = 1,
    ) -> None:
        """frames: of the cell; play_frames: of the play that it is a part of, or the whole of."""
        self._meter = meter
        self._encoding: Background | None = None  # from the second picture on
        self._final = folder / f"{index}-cell.{encoder['container']}"
        self._path = folder / f".{index}.{os.getpid()}.tmp"
        self._shape = (encoder["height"], encoder["width"], 4)
        self._rate = Fraction(*encoder["rate"])
        self._pixel_format = encoder["pixel_format"]
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._pts = 0
        self._container = av.open(
            str(self._path), "w", format=encoder["container"], container_options={"fflags": "+bitexact"}
        )
        self._stream = add_stream(self._container, encoder, options_for_part(encoder, frames, play_frames))

    def write(self, pixels: np.ndarray, repeat: int = 1) -> None:
        """Encode the picture repeat times. The caller may change pixels afterwards."""
        if pixels.shape != self._shape or pixels.dtype != np.uint8:
            raise ValueError(f"frames must be {self._shape} of uint8, got {pixels.shape} of {pixels.dtype}")
        if self._pts == 0:
            self._encode(pixels, repeat)  # and the headers are known
            return
        if self._encoding is None:
            self._encoding = Background(self._encode, WAITING)
        self._encoding.give(pixels.copy(), repeat)

    def _encode(self, pixels: np.ndarray, repeat: int) -> None:
        with self._meter.encoding():
            frame = _frame(pixels)
            if self._pixel_format == "rgba":
                frame = av.VideoFrame.from_ndarray(pixels, format="rgba")  # a copy: the camera draws on
            else:
                frame = self._reformat(frame)
            for _ in range(repeat):
                frame.pts, frame.time_base = self._pts, 1 / self._rate
                self._pts += 1
                for packet in self._stream.encode(frame):
                    self._container.mux(packet)

    def headers(self) -> str:
        """A hash of what a film has once for all its parts, "" if that is nothing; known when a frame is written.

        Parts from encoders with other headers do not decode together.
        """
        data = self._stream.codec_context.extradata
        return hashlib.sha256(data).hexdigest()[:32] if data else ""

    def _reformat(self, frame: av.VideoFrame) -> av.VideoFrame:
        try:
            return self._reformatter.reformat(frame, format=self._pixel_format, threads=1)
        except TypeError:  # before PyAV 14 there is no such argument
            return self._reformatter.reformat(frame, format=self._pixel_format)

    def finish(self) -> list[str]:
        """Close the file and give it its name; the paths written."""
        if self._encoding is not None:
            self._encoding.end()
        with self._meter.encoding():
            for packet in self._stream.encode():
                self._container.mux(packet)
            self._container.close()
        os.replace(self._path, self._final)
        return [str(self._final)]

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._encoding is not None:
            self._encoding.drop()
        with suppress(Exception):  # the encoder may have failed, and fail again
            self._container.close()
        self._path.unlink(missing_ok=True)


class ImageCell:
    """Pictures of a PNG sequence, named by their number in the cell: an equal cell elsewhere has equal files."""

    def __init__(self, folder: Path, index: int, meter: Meter, images: int) -> None:
        self._meter = meter
        self._folder, self._index = folder, index
        self._next, self._end = 0, images
        self._paths: list[str] = []

    def write(self, pixels: np.ndarray, repeat: int = 1) -> None:
        """Save the picture once, as Manim does however often it is shown."""
        if self._next == self._end:
            return  # a later cell of a frozen play: its picture is in the first
        # The number is padded: a set of files is sorted by name.
        final = self._folder / f"{self._index}-{self._next:08}.png"
        part = self._folder / f".{self._index}.{os.getpid()}.tmp"
        with self._meter.encoding():
            Image.fromarray(pixels).save(part, format="PNG")
        os.replace(part, final)
        self._paths.append(str(final))
        self._next += 1

    def finish(self) -> list[str]:
        return self._paths

    def abort(self) -> None:
        for path in self._paths:
            Path(path).unlink(missing_ok=True)


def _frame(pixels: np.ndarray) -> av.VideoFrame:
    """A frame that borrows the array where PyAV can, and copies it elsewhere."""
    try:
        return av.VideoFrame.from_numpy_buffer(pixels, "rgba")
    except (AttributeError, ValueError):
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgba")


def encoder_settings(spec: Any) -> dict[str, Any]:
    """Manim's resolved encoder settings as JSON values."""
    return {
        "container": spec.container_format,
        "codec": spec.codec,
        "pixel_format": spec.pixel_format,
        "width": spec.width,
        "height": spec.height,
        "rate": [spec.frame_rate.numerator, spec.frame_rate.denominator],
        "options": dict(spec.options),
    }


def check(encoder: dict[str, Any], folder: Path) -> str:
    """Encode one black frame and throw it away: wrong options show at the first frame, not when the file is opened.

    Returns the headers that every cell will have.
    """
    cell = VideoCell(folder, 0, encoder, Meter())
    try:
        cell.write(np.zeros((encoder["height"], encoder["width"], 4), np.uint8))
        cell._stream.encode()
        return cell.headers()
    finally:
        cell.abort()
