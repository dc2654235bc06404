#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is what the engine renders what Manim renders? Every raw frame of each scene is compared, with its time.

    compare.py [--cells N] [--cached] [--flags "..."] FILE SCENE...

With --cached Manim's cache is on, and the names that it gives its partial movie files are compared too.

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
STOCK = DRIVE.with_name("stock.py")


def frames(path: Path) -> list[tuple[int, str]]:
    """Time and digest of each decoded frame."""
    with av.open(str(path)) as film:
        return [
            (frame.pts, hashlib.sha256(frame.to_ndarray(format="argb").tobytes()).hexdigest())
            for frame in film.decode(video=0)
        ]


def names_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


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
    parser.add_argument("--cached", action="store_true")
    parser.add_argument("--flags", default="")
    parser.add_argument("file", type=Path)
    parser.add_argument("scenes", nargs="+")
    own = parser.parse_args()
    file = own.file.resolve()
    wrong = 0
    for scene in own.scenes:
        args = ["-ql", "-t", "--format", "mov", "--seed", "0", "--progress_bar", "none"]
        args += [] if own.cached else ["--disable_caching"]
        args += [*shlex.split(own.flags), file.name, scene]
        with tempfile.TemporaryDirectory() as folder:
            stock = render([sys.executable, str(STOCK), "render"], args, Path(folder) / "stock", file.parent)
            drive = [sys.executable, str(DRIVE), "publish", "--cell-frames", str(own.cells)]
            ours = render(drive, args, Path(folder) / "ours", file.parent)
            a, b = frames(stock), frames(ours)
            names = names_below(stock.parent) == names_below(ours.parent)
        bad = [i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y]
        result = (
            "equal" if a == b else f"{len(a)} frames against {len(b)}, {len(bad)} differ, first {bad[:1]}"
        )
        if not names:
            result += ", files have other names"
        wrong += a != b or not names
        print(f"{scene}: {result}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
