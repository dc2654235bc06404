#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cut a play in many ways, and compare how its parts decode with how the whole does."""

from __future__ import annotations

import sys
from math import log10
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine import assemble, demux, encode
from engine.meter import Meter

WIDTH, HEIGHT, FRAMES = 426, 240, 48


def pictures() -> list[np.ndarray]:
    """A disk that moves over lines that stand still: (HEIGHT, WIDTH, 4) of uint8 each."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    out = []
    for i in range(FRAMES):
        frame = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        frame[..., 3] = 255
        frame[(x // 3 + y // 5) % 11 == 0] = (90, 160, 200, 255)
        frame[(x - 60 - 6 * i) ** 2 + (y - 120 + i) ** 2 < 900] = (230, 90, 60, 255)
        out.append(frame)
    return out


def cell(folder: Path, index: int, encoder: dict, frames: list[np.ndarray], play_frames: int) -> str:
    one = encode.VideoCell(folder, index, encoder, Meter(), len(frames), play_frames)
    for frame in frames:
        one.write(frame)
    (path,) = one.finish()
    return path


def psnr(path: str, reference: list[np.ndarray]) -> float:
    """Of the decoded luma and chroma against the pictures, in dB."""
    error = []
    with av.open(path) as film:
        for frame, picture in zip(film.decode(video=0), reference, strict=True):
            want = av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format="yuv420p").to_ndarray()
            error.append(np.mean((frame.to_ndarray().astype(float) - want) ** 2))
    return 10 * log10(255**2 / np.mean(error))


def main() -> int:
    folder, frames = Path(sys.argv[1]), pictures()
    encoder = {
        "container": "mp4",
        "codec": "libx264",
        "pixel_format": "yuv420p",
        "width": WIDTH,
        "height": HEIGHT,
        "rate": [15, 1],
        "options": {"crf": "23"},
    }
    whole = cell(folder, 0, encoder, frames, FRAMES)
    wanted, bad = psnr(whole, frames), 0
    if encode.options_for_part(encoder, FRAMES, FRAMES) != encoder["options"]:
        print("a whole play is not encoded as Manim would")
        bad = 1
    for length in (1, 2, 3, 5, 7, 8, 15, 30, 40):
        folder_of = folder / str(length)
        folder_of.mkdir()
        parts = {
            1 + i: [cell(folder_of, 1 + i, encoder, frames[at : at + length], FRAMES)]
            for i, at in enumerate(range(0, FRAMES, length))
        }
        assemble.check_headers({0: [whole], **parts}, encoder)
        target = folder_of / "play.mp4"
        assemble.join(
            [path for paths in parts.values() for path in paths],
            target,
            encoder,
            demux.own_form(encoder, folder),
        )
        got = psnr(str(target), frames)
        if got < wanted - 0.5:
            print(f"cut every {length} frames: {got:.2f} dB, the whole has {wanted:.2f} dB")
            bad = 1
    encoder["options"] = {"crf": "18"}
    try:
        assemble.check_headers({0: [whole], 1: [cell(folder, 1, encoder, frames[:9], 9)]}, encoder)
    except RuntimeError:
        return bad
    print("cells of two encoders were taken for one film")
    return 1


if __name__ == "__main__":
    sys.exit(main())
