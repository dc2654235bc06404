# SPDX-License-Identifier: MIT
"""Walkers that cannot be forks of the hub, because Python or Manim fixed something when they started.

Python fixes the hash seed, Manim some values of its configuration files (default arguments) and its plugins. Such a
walker is a new process, which takes over the channel of the fork that found out.
"""

from __future__ import annotations

import configparser
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from .protocol import Channel
from .walker import Walker, explain, leave

OPTION = "--walker"  # of __main__.py


def hash_seed(env: dict[str, str]) -> str:
    """The hash seed of a command with this environment: 0 unless the user has fixed another one."""
    given = env.get("PYTHONHASHSEED", "")
    return given if given.isdecimal() else "0"


def become(
    walker: Walker, run: str, arguments: dict[str, Any], seed: str, cwd: Path | None = None
) -> NoReturn:
    """Replace this process by a fresh one that calls run.RUN(walker, **arguments)."""
    note = walker.folder / f".walker-{os.getpid()}.json"
    state = {
        "run": run,
        "arguments": arguments,
        "folder": str(walker.folder),
        "cell_frames": walker.cell_frames,
        "draw_all": walker.draw_all,
        "order": walker.first_order,
        "seed": seed,
    }
    note.write_text(json.dumps(state))
    fd = walker.channel.fileno()
    os.set_inheritable(fd, True)
    if cwd is not None:
        os.chdir(cwd)
    entry = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
    flags = ["-s"] if sys.flags.no_user_site else []
    env = {**os.environ, "PYTHONHASHSEED": seed}
    os.execve(sys.executable, [sys.executable, *flags, entry, OPTION, str(fd), str(note)], env)


def main(fd: str, note: str) -> NoReturn:
    """The fresh process."""
    state = json.loads(Path(note).read_text())
    os.unlink(note)
    os.set_inheritable(int(fd), False)
    channel = Channel(socket.socket(fileno=int(fd)))
    walker = Walker(channel, Path(state["folder"]), state["cell_frames"])
    walker.draw_all, walker.fresh = state["draw_all"], True
    try:
        from . import packages, run

        packages.remember()
        walker.start(state["order"])
        getattr(run, state["run"])(walker, **state["arguments"])
    except BaseException as error:  # noqa: BLE001 - it ends here in any case
        walker.fail("engine", explain(error))
    leave(1)


def write_config(folder: Path, values: dict[str, Any]) -> Path:
    """A folder with a manim.cfg of these values, for a fresh process to import Manim in."""
    parser = configparser.ConfigParser()
    parser["CLI"] = {key: ",".join(v) if isinstance(v, list) else str(v) for key, v in values.items()}
    folder.mkdir(exist_ok=True)
    with open(folder / "manim.cfg", "w") as file:
        parser.write(file)
    return folder
