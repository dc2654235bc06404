# SPDX-License-Identifier: MIT
"""Prints what a render left in a media folder, as JSON: {name: [lines]}.

A video's lines are its streams with the SHA-256 of the decoded sound, and the time and SHA-256 of every decoded frame as
RGBA; a picture's are its size and the SHA-256 of its pixels as RGBA. Files that only a cache reads have none.
"""

import hashlib
import json
import sys
from pathlib import Path

import av
from PIL import Image

VIDEO = {".mov", ".mp4", ".webm", ".gif"}


def sound_of(path: Path) -> str:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return ""
        stream = container.streams.audio[0]
        digest = hashlib.sha256()
        for frame in container.decode(stream):
            digest.update(frame.to_ndarray().tobytes())
        return f" {stream.codec_context.name} {stream.rate} {digest.hexdigest()}"


def lines_of(path: Path) -> list[str]:
    if "partial_movie_files" in path.parts:
        return []
    if path.suffix in VIDEO:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            lines = [
                f"{stream.codec_context.name} {stream.width}x{stream.height} {stream.average_rate} {stream.format.name}"
                + sound_of(path)
            ]
            for frame in container.decode(stream):
                pixels = frame.to_ndarray(format="rgba")
                lines.append(
                    f"{float(frame.pts * stream.time_base):.4f} {hashlib.sha256(pixels.tobytes()).hexdigest()}"
                )
        return lines
    if path.suffix == ".png":
        with Image.open(path) as image:
            return [f"{image.size} {hashlib.sha256(image.convert('RGBA').tobytes()).hexdigest()}"]
    return [hashlib.sha256(path.read_bytes()).hexdigest()]


def main() -> None:
    media = Path(sys.argv[1])
    found = {
        path.relative_to(media).as_posix(): lines_of(path)
        for top in ("videos", "images")
        for path in sorted((media / top).rglob("*"))
        if path.is_file()
    }
    json.dump(found, sys.stdout)


main()
