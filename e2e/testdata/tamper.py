# SPDX-License-Identifier: MIT
"""What somebody may do to a film of 15 frames a second: `tamper.py HOW FILM COPY`.

packet: one byte in the middle of a packet of the second second; encode: that second is encoded once more; paint: a dot
is painted into it, and it is encoded; cut: it is left out.
"""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FIRST, COUNT = 15, 15  # frames of the second second
how, film, target = sys.argv[1:]


def packets_of(path: str) -> list:
    """The packets of a film, in the order of the file."""
    with av.open(path) as source:
        return [packet for packet in source.demux(source.streams.video[0]) if packet.size]


def encoded(path: str) -> str:
    """A film of that second, with Manim's own settings."""
    with av.open(film) as source, av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=15, options={"an": "1", "crf": "23", "threads": "1"})
        stream.pix_fmt = "yuv420p"
        stream.width, stream.height = source.streams.video[0].width, source.streams.video[0].height
        for number, frame in enumerate(source.decode(video=0)):
            if FIRST <= number < FIRST + COUNT:
                picture = frame.to_ndarray(format="rgb24")
                if how == "paint":
                    picture[40:56, 60:76] = np.array([255, 255, 0], np.uint8)
                again = av.VideoFrame.from_ndarray(picture, format="rgb24")
                again.pts, again.time_base = number - FIRST, Fraction(1, 15)
                out.mux(stream.encode(again))
        out.mux(stream.encode())
    return path


if how == "packet":
    packet = packets_of(film)[FIRST + COUNT // 2]
    data = bytearray(Path(film).read_bytes())
    data[packet.pos + packet.size // 2] ^= 0x55
    Path(target).write_bytes(data)
    sys.exit()

packets = packets_of(film)
if how == "cut":
    middle = []
    skipped = COUNT
else:
    middle = packets_of(encoded(target + ".part.mp4"))
    skipped = 0
tick = round(1 / (15 * packets[0].time_base))
with av.open(film) as source, av.open(target, "w") as out:
    stream = out.add_stream_from_template(source.streams.video[0])
    for part, offset in (
        (packets[:FIRST], 0),
        (middle, FIRST * tick),
        (packets[FIRST + COUNT :], -skipped * tick),
    ):
        for packet in part:
            scale = round(packet.time_base * 15 * tick)
            packet.pts, packet.dts = packet.pts * scale + offset, packet.dts * scale + offset
            packet.stream = stream
            out.mux(packet)
