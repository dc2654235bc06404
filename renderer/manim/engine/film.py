# SPDX-License-Identifier: MIT
"""Whether a film has the frames of cells that were drawn again: a program of its own, without Manim.

It reads one JSON object from standard input: `film`, its path; `fps`; `cells`, each with
`first` (frame of the film), `frames` and `file`. It prints one: `frames`, those that the film has; `steady`, whether
they are shown at their times; `cells`, for each `same` (the film has its packets, byte for byte) or, of the decoded
frames, `psnr` (dB, of the worst frame), `from` and `to` (frames of the cell that differ; equal: none do) and `why`.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

# What an encoder loses is lost inside of blocks; what somebody changes is seen in their means.
BLOCK = 8  # pixels
MOST_OFF = 32  # of 255: of a block's mean
LEAST_PSNR = 25  # dB: of a frame


class Film:
    """The pictures of a film, or of a cell."""

    def __init__(self, path: str, fps: Fraction) -> None:
        self.path, self.fps = path, fps
        self.packets: list[bytes] = []  # digests, in the order of the file
        times = []
        with av.open(path) as source:
            video = source.streams.video[0]
            self.headers = video.codec_context.extradata
            self.base = video.time_base
            for packet in source.demux(video):
                if packet.size and packet.pts is not None:
                    data = _without_headers(bytes(packet), video.codec_context.name, self.headers)
                    self.packets.append(hashlib.sha256(data).digest())
                    times.append(packet.pts)
        times.sort()
        self.start = times[0] if times else 0
        self.steady = [self._number(pts) for pts in times] == list(range(len(times)))

    def _number(self, pts: int) -> int:
        return round((pts - self.start) * self.base * self.fps)

    def frames(self, first: int, count: int) -> dict[int, np.ndarray]:
        """Decoded frames, by their number from the first asked for; those that cannot be decoded are missing."""
        found: dict[int, np.ndarray] = {}
        try:
            for number, picture in self._decoded(first):
                if 0 <= number - first < count:
                    found[number - first] = picture
                if number >= first + count + 32:  # none is later than that in the file
                    break
        except (av.FFmpegError, ValueError):
            pass
        return found

    def _decoded(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        with av.open(self.path) as source:
            video = source.streams.video[0]
            if first:
                at = self.start + int(first / self.fps / self.base)
                source.seek(at, stream=video)
            for frame in source.decode(video):
                if frame.pts is not None:
                    kind = "rgba" if "a" in frame.format.name else "rgb24"
                    yield self._number(frame.pts), frame.to_ndarray(format=kind)


# Of codecs with units behind their lengths: where their headers say how long a length is, and the kind of a unit, of
# which these are headers.
_UNITS = {
    "h264": (4, lambda first: first & 31, {7, 8}),
    "hevc": (21, lambda first: first >> 1 & 63, {32, 33, 34}),
}


def _without_headers(data: bytes, codec: str, headers: bytes | None) -> bytes:
    """A packet without copies of the film's headers: the concatenation of parts puts them before key frames."""
    at, kind, kinds = _UNITS.get(codec, (0, None, ()))
    if kind is None or not headers or len(headers) <= at or headers[0] != 1:
        return data
    size, place, kept = (headers[at] & 3) + 1, 0, []
    while place + size < len(data):
        end = place + size + int.from_bytes(data[place : place + size], "big")
        unit = data[place + size : end]
        if not unit or end > len(data):
            return data
        if kind(unit[0]) not in kinds or unit not in headers:
            kept.append(data[place:end])
        place = end
    return b"".join(kept)


def compare(film: Film, first: int, count: int, cell: Film) -> dict[str, Any]:
    """How the frames of a film, from the first on, differ from those of a cell."""
    mine = film.packets[first : first + count]
    if film.headers == cell.headers and len(mine) == count and mine == cell.packets:
        return {"same": True}
    theirs, ours = film.frames(first, count), cell.frames(0, count)
    if len(ours) < count:
        raise RuntimeError(f"{len(ours)} of {count} frames that were drawn again can be decoded")
    bad, worst, why = [], math.inf, ""
    for number in range(count):
        psnr, problem = _difference(theirs.get(number), ours[number])
        worst = min(worst, psnr)
        if problem:
            bad.append(number)
            why = why or problem
    return {
        "same": False,
        "psnr": round(min(worst, 99.0), 1),
        "from": bad[0] if bad else 0,
        "to": bad[-1] + 1 if bad else 0,
        "why": why,
    }


def _difference(theirs: np.ndarray | None, ours: np.ndarray) -> tuple[float, str]:
    """The PSNR of a frame in dB, and what is wrong with it, if anything is."""
    if theirs is None:
        return 0.0, "there is no such frame"
    if theirs.shape != ours.shape:
        return 0.0, "another size"
    off = theirs.astype(np.float32) - ours
    error = float((off * off).mean())
    psnr = math.inf if error == 0 else 10 * math.log10(255 * 255 / error)
    height, width = (max(n // BLOCK, 1) for n in off.shape[:2])
    whole = off[: height * BLOCK, : width * BLOCK]
    means = whole.reshape(height, -1, width, whole.shape[1] // width, off.shape[2]).mean(axis=(1, 3))
    if psnr < LEAST_PSNR or float(np.abs(means).max()) > MOST_OFF:
        return psnr, "other pictures"
    return psnr, ""


def main() -> None:
    order = json.load(sys.stdin)
    fps = Fraction(order["fps"]).limit_denominator(100_000)
    film = Film(order["film"], fps)
    cells = [compare(film, c["first"], c["frames"], Film(c["file"], fps)) for c in order["cells"]]
    json.dump({"frames": len(film.packets), "steady": film.steady, "cells": cells}, sys.stdout)


if __name__ == "__main__":
    main()
