#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is what the engine renders what Manim renders? Every raw frame of each scene is compared, with its time.

    compare.py [--cells N] [--flags "..."] FILE SCENE...

Runs in the interpreter that has Manim. The engine's side is drive.py: planned, shipped, rendered in random order in
another hub, assembled. Stock and engine render losslessly (-t --format mov).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import av

DRIVE = Path(__file__).resolve().parent / "drive.py"


def frames(path: Path) -> list[tuple[int, str]]:
    """Time and digest of each decoded frame."""
    with av.open(str(path)) as film:
        return [
            (frame.pts, hashlib.sha256(frame.to_ndarray(format="argb").tobytes()).hexdigest())
            for frame in film.decode(video=0)
        ]


def render(command: list[str], args: list[str], media: Path, cwd: Path) -> Path:
    env = {**os.environ, "PYTHONHASHSEED": "0", "MESHNODE_PYTHON": sys.executable}
    done = subprocess.run(
        [*command, *args, "--media_dir", str(media)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    films = [
        p for p in media.rglob("*.mov") if "partial_movie_files" not in p.parts and "sections" not in p.parts
    ]
    if done.returncode or len(films) != 1:
        raise SystemExit(
            f"{command[-1]} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return films[0]


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--flags", default="")
    parser.add_argument("file", type=Path)
    parser.add_argument("scenes", nargs="+")
    own = parser.parse_args()
    file = own.file.resolve()
    wrong = 0
    for scene in own.scenes:
        args = ["-ql", "-t", "--format", "mov", "--seed", "0", "--disable_caching", "--progress_bar", "none"]
        args += [*shlex.split(own.flags), file.name, scene]
        with tempfile.TemporaryDirectory() as folder:
            stock = render(
                [sys.executable, "-m", "manim", "render"], args, Path(folder) / "stock", file.parent
            )
            drive = [sys.executable, str(DRIVE), "publish", "--cell-frames", str(own.cells)]
            ours = render(drive, args, Path(folder) / "ours", file.parent)
            a, b = frames(stock), frames(ours)
        bad = [i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y]
        result = (
            "equal" if a == b else f"{len(a)} frames against {len(b)}, {len(bad)} differ, first {bad[:1]}"
        )
        wrong += a != b
        print(f"{scene}: {result}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
