#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Play Go's part of the engine protocol: plan in one hub, render every cell in another one, assemble in the first.

The second hub works in another folder, from the shipped files alone, and gets its cells in random order, so a film that
comes out right was cut, shipped, rendered and joined right. Used like `meshnode publish`, also by conform.py:

    drive.py publish [--cell-frames N] [--seed-order N] [--slots N] [--local] [--keep DIR] RENDER-ARGUMENTS...

MESHNODE_PYTHON names the interpreter that has Manim (default: the one that runs this).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ENGINE = Path(__file__).resolve().parent.parent / "engine" / "__main__.py"


class Engine:
    """One hub process."""

    def __init__(self, cwd: Path, env: dict[str, str]) -> None:
        python = os.environ.get("MESHNODE_PYTHON", sys.executable)
        self.process = subprocess.Popen(
            [python, "-s", str(ENGINE)], cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.hello = self.receive()

    def send(self, **message: Any) -> None:
        body = json.dumps(message).encode()
        self.process.stdin.write(struct.pack(">I", len(body)) + body)
        self.process.stdin.flush()

    def receive(self) -> dict:
        head = self.process.stdout.read(4)
        if len(head) < 4:
            raise SystemExit("drive: the engine ended")
        return json.loads(self.process.stdout.read(struct.unpack(">I", head)[0]))

    def until(self, *kinds: str) -> Iterator[dict]:
        """Messages up to and with the first of these kinds; errors end the program."""
        while True:
            message = self.receive()
            kind = message["t"]
            if kind == "usage_error":
                print(message["text"], file=sys.stderr)
                raise SystemExit(2)
            if kind in ("scene_error", "cell_error", "error"):
                print(f"{kind}: {message}" if kind != "scene_error" else message["text"], file=sys.stderr)
                raise SystemExit(1)
            yield message
            if kind in kinds:
                return

    def end(self) -> None:
        self.send(t="end")
        self.process.wait(10)


def ship(files: list[list[str]], target: Path) -> None:
    for name, source in files:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)


def lend(worker: Engine, shipped: Path, root: Path, name: str) -> None:
    """Hand over a file of the project that the plan did not read."""
    print("late:", name, file=sys.stderr)
    copy = shipped / "late"
    shutil.copyfile(root / name, copy)
    worker.send(t="given", path=name, **{"from": "late"})


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("command", choices=["publish"])
    parser.add_argument("--cell-frames", type=int, default=0)
    parser.add_argument("--seed-order", type=int, default=0)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--local", action="store_true", help="render in the hub that planned")
    parser.add_argument(
        "--ahead", type=int, default=1, help="with --local: cells drawn at a time during the plan"
    )
    parser.add_argument("--in-order", action="store_true")
    parser.add_argument("--keep", help="folder for the scratch files, kept")
    own, args = parser.parse_known_args()

    scratch = Path(own.keep or tempfile.mkdtemp(prefix="drive-")).resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    clean = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}
    (scratch / "idle").mkdir(exist_ok=True)
    planner = Engine(scratch / "idle", dict(os.environ, PYTHONHASHSEED="0"))
    planner.send(
        t="plan", args=args, cwd=os.getcwd(), env=dict(os.environ), out=str(scratch / "plan"),
        cell_frames=own.cell_frames, slots=own.slots, ahead=own.ahead if own.local else 0,
    )  # fmt: skip
    plays, files, plan = [], [], {}
    done: dict[int, list[str]] = {}
    for message in planner.until("plan"):
        if message["t"] == "note":
            print("note:", message["text"], file=sys.stderr)
        elif message["t"] == "play":
            plays.append([message["frames"], message["frozen"]])
        elif message["t"] == "files":
            files += message["files"]
        elif message["t"] == "restart":
            plays, files, done = [], [], {}
        elif message["t"] == "cell":
            done[message["cell"]] = [str(scratch / "plan" / name) for name, _ in message["files"]]
        plan = message
    print("packages:", plan["packages"], file=sys.stderr)
    for warning in plan["warnings"]:
        print("warning:", warning, file=sys.stderr)

    early = len(done)
    wanted = [cell for cell in range(plan["cells"]) if cell not in done]
    if not own.in_order:
        random.Random(own.seed_order).shuffle(wanted)
    if wanted:
        if own.local:
            worker, folder = planner, scratch / "plan"
        else:
            ship(files, scratch / "in")
            folder = scratch / "out"
            worker = Engine(scratch / "idle", clean)
            worker.send(
                t="work", spec=plan["spec"], plays=plays, cell_frames=own.cell_frames, slots=own.slots,
                **{"in": str(scratch / "in"), "out": str(folder)},
            )  # fmt: skip
        worker.send(t="render", cells=wanted)
        while len(done) < early + len(wanted):
            for message in worker.until("cell", "need"):
                pass
            if message["t"] == "need":
                lend(worker, scratch / "in", Path(plan["root"]), message["path"])
                continue
            done[message["cell"]] = [str(folder / name) for name, _ in message["files"]]
        if worker is not planner:
            worker.end()
    planner.send(t="cell_files", cells=done)
    planner.send(t="assemble")
    for message in planner.until("finished"):
        pass
    print("\n".join(message["files"]))
    planner.end()
    if not own.keep:
        shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
