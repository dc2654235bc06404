# SPDX-License-Identifier: MIT
"""How like the lossless film is each of these? quality.py LOSSLESS FILM...: for each film its bytes and its PSNR in dB.

Frames are compared as yuv420p, the pixels of all planes together, as ffmpeg's "average".
"""

import math
import sys
from pathlib import Path

import av
import numpy as np


def main() -> None:
    truth, *films = sys.argv[1:]
    squares, samples = [0.0] * len(films), 0
    streams = [av.open(name).decode(video=0) for name in (truth, *films)]
    for frames in zip(*streams, strict=True):
        planes = [frame.reformat(format="yuv420p").to_ndarray().astype(np.int16) for frame in frames]
        samples += planes[0].size
        for i, plane in enumerate(planes[1:]):
            squares[i] += float(np.square(plane - planes[0], dtype=np.int32).sum(dtype=np.int64))
    for name, square in zip(films, squares, strict=True):
        print(
            Path(name).stat().st_size, 10 * math.log10(255**2 * samples / square) if square else float("inf")
        )


main()
