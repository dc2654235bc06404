#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files that are no cells, though a decoder finds the right pictures in them; and what a film has of a stranger's file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, PngImagePlugin

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine import assemble, demux, encode, look
from engine.meter import Meter

WIDTH, HEIGHT, FRAMES = 64, 48, 15


def encoder(container: str, codec: str, pixel_format: str) -> dict[str, Any]:
    return {
        "container": container,
        "codec": codec,
        "pixel_format": pixel_format,
        "width": WIDTH,
        "height": HEIGHT,
        "rate": [15, 1],
        "options": {"crf": "23"} if codec.startswith("lib") else {},
    }


MP4 = encoder("mp4", "libx264", "yuv420p")
MOV = encoder("mov", "qtrle", "argb")
WEBM = encoder("webm", "libvpx-vp9", "yuv420p")


def pictures() -> list[np.ndarray]:
    return [np.full((HEIGHT, WIDTH, 4), (10 * i, 200, 60, 255), np.uint8) for i in range(FRAMES)]


def cell(folder: Path, settings: dict[str, Any]) -> Path:
    one = encode.VideoCell(folder, 0, settings, Meter(), FRAMES, FRAMES)
    for picture in pictures():
        one.write(picture)
    (path,) = one.finish()
    return Path(path)


def written(folder: Path, settings: dict[str, Any], options: dict[str, str], form: str = "") -> bytes:
    """A film of the same pictures with other options of the container, or another container."""
    path = folder / "written"
    with av.open(str(path), "w", format=form or settings["container"], container_options=options) as out:
        stream = encode.add_stream(out, settings, settings["options"])
        for i, picture in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgba").reformat(
                format=settings["pixel_format"]
            )
            frame.pts, frame.time_base = i, stream.time_base or 1 / stream.average_rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path.read_bytes()


def playlist(target: Path) -> bytes:
    """A list that has the headers and the pictures of another file."""
    return (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n"
        f'#EXT-X-MAP:URI="{target}"\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n'
    ).encode()


def turned(data: bytes) -> bytes:
    """A film that players are to show upside down."""
    at = data.index(b"tkhd") + 4 + 40  # behind version, times, number, length, layer and volume
    matrix = b"".join(value.to_bytes(4, "big", signed=True) for value in (-65536, 0, 0, 0, -65536, 0))
    return data[:at] + matrix + data[at + len(matrix) :]


def films(folder: Path) -> list[str]:
    own = {name: cell(folder, settings) for name, settings in (("mp4", MP4), ("mov", MOV), ("webm", WEBM))}
    mp4 = own["mp4"].read_bytes()
    parts = folder / "parts.mp4"
    parts.write_bytes(
        written(folder, MP4, {"movflags": "frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets"})
    )
    with av.open(str(own["mp4"])) as source, av.open(str(parts)) as other:  # else a playlist shows nothing
        assert headers(source) == headers(other)
    cases: list[tuple[str, dict[str, Any], str, bytes, bool]] = [
        ("one's own mp4", MP4, "cell.mp4", mp4, True),
        ("one's own mov", MOV, "cell.mov", own["mov"].read_bytes(), True),
        ("one's own webm", WEBM, "cell.webm", own["webm"].read_bytes(), True),
        ("a playlist", MP4, "cell.m3u8", playlist(parts), False),
        ("a playlist by the right name", MP4, "cell.mp4", playlist(parts), False),
        ("another name", MP4, "cell.mov", mp4, False),
        ("another container", MP4, "cell.mp4", written(folder, MP4, {}, "matroska"), False),
        ("another clock", MP4, "cell.mp4", written(folder, MP4, {"video_track_timescale": "30000"}), False),
        ("another codec", MOV, "cell.mov", written(folder, encoder("mov", "png", "rgba"), {}), False),
        ("no alpha", MOV, "cell.mov", written(folder, encoder("mov", "qtrle", "rgb24"), {}), False),
        ("VP8", WEBM, "cell.webm", written(folder, encoder("webm", "libvpx", "yuv420p"), {}), False),
        ("a turned film", MP4, "cell.mp4", turned(mp4), True),  # of which the film has nothing: see below
    ]
    place, bad = folder / "in", []
    place.mkdir()
    for what, settings, name, data, good in cases:
        path = place / name
        path.write_bytes(data)
        found = look.fault([str(path)], {"kind": "video", "encoder": settings}, FRAMES, 0, folder)
        if (found == "") != good:
            bad.append(f"a look at {what} found {found!r}")
    form = demux.own_form(MP4, folder)
    for what, data in (
        ("its own", mp4),
        ("a turned", turned(mp4)),
        ("a longer", mp4 + b"\0\0\0\x0cfreemore"),
    ):
        path, joined = place / "cell.mp4", folder / "joined.mp4"
        path.write_bytes(data)
        assemble.join([str(path)], joined, MP4, form)
        if joined.read_bytes() != mp4:
            bad.append(f"the play of {what} cell is not what the encoder here writes")
    return bad


def images(folder: Path) -> list[str]:
    place, path, bad = folder / "images", folder / "images" / "00000000.png", []
    place.mkdir()
    picture = Image.fromarray(pictures()[0])
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "hello")

    def behind() -> None:
        picture.save(path)
        path.write_bytes(path.read_bytes() + b"more")

    cases: list[tuple[str, Callable[[], None], bool]] = [
        ("one's own", lambda: picture.save(path), True),
        ("words", lambda: picture.save(path, pnginfo=words), False),
        ("no alpha", lambda: picture.convert("RGB").save(path), False),
        ("another size", lambda: picture.resize((8, 8)).save(path), False),
        ("a GIF", lambda: picture.save(path, format="GIF"), False),
        ("something behind", behind, False),
    ]
    for what, write, good in cases:
        write()
        found = look.fault([str(path)], {"kind": "images", "encoder": MP4}, 1, 1, folder)
        if (found == "") != good:
            bad.append(f"a look at a picture, {what}, found {found!r}")
    return bad


def headers(source: Any) -> bytes | None:
    return source.streams.video[0].codec_context.extradata


def main() -> int:
    folder = Path(sys.argv[1])
    bad = films(folder) + images(folder)
    print("\n".join(bad))
    return len(bad) > 0


if __name__ == "__main__":
    sys.exit(main())
