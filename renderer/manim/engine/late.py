# SPDX-License-Identifier: MIT
"""Files of the project that the plan did not read: their names travel with the job, their bytes when they are opened.

The plan looks through the project's folder (survey). On a worker every name that was not shipped is laid out as an empty
file of the right size and time that nobody may read (lay_out), so that listings, `exists` and `stat` are answered as on
the submitter, without asking anybody. When a walker opens such a file, its bytes are asked for (Opener), and take the
place of the empty one. A name that was not there is not there: it is never asked for.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from . import audit

NAMES = "names.json"  # in the shipped set: [[path, bytes, time in ns], ...], a folder's path ending in "/"
MOST = 5000  # names
PATIENCE = 60.0  # seconds that a walker waits for a file; the other side gives up sooner
PROJECT = "project"  # folder of the set
_BARE = {"__pycache__", "node_modules"}  # folders of which only the name travels

_lstat = os.lstat


def survey(
    root: str,
    folders: Iterable[str],
    listed: Iterable[str],
    closed: Callable[[str], bool],
    left_out: Container[str],
) -> list[list]:
    """Names below root: all in folders that the scene listed, then those below folders that are not hidden.

    folders: the script's and the working one. A home folder is no project, nor is one above it: of such a folder only
    what the scene listed is named. closed: folders of which only the name travels, as hidden ones; left_out: files.
    """
    projects = [folder for folder in folders if not _inside(os.path.expanduser("~"), folder)]
    whole = {folder for folder in listed if is_proper(folder, root)}
    queue = deque([*sorted(whole), *projects])
    found: dict[str, list] = {}
    seen: set[str] = set()
    while queue and len(found) < MOST:
        folder = queue.popleft()
        if folder in seen or closed(folder):
            continue
        seen.add(folder)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        place = "" if folder == root else os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        for entry in entries:
            is_open = _is_open(entry, root)
            if (not is_open and folder not in whole) or entry.path in left_out or len(found) >= MOST:
                continue
            row = _describe(entry, place)
            if row is None:
                continue
            found[row[0]] = row
            enter = is_open and row[0].endswith("/") and entry.name not in _BARE and not entry.is_symlink()
            if enter and any(_inside(entry.path, project) for project in projects):
                queue.append(entry.path)
    return [found[name] for name in sorted(found)]


def _is_open(entry: os.DirEntry, root: str) -> bool:
    """Whether a name is not hidden, and no link to something that is, or that is elsewhere."""
    if entry.name.startswith("."):
        return False
    return not entry.is_symlink() or is_proper(os.path.realpath(entry.path), os.path.realpath(root))


def _describe(entry: os.DirEntry, place: str) -> list | None:
    try:
        if entry.is_dir():
            return [place + entry.name + "/", 0, 0]
        found = entry.stat()
    except OSError:
        return None
    return [place + entry.name, found.st_size, found.st_mtime_ns] if stat.S_ISREG(found.st_mode) else None


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _hidden(path: str, root: str) -> bool:
    return any(part.startswith(".") and part != "." for part in os.path.relpath(path, root).split(os.sep))


def is_proper(path: str, root: str) -> bool:
    """Whether a path lies below a project's root and is not hidden there."""
    return _inside(path, root) and not _hidden(path, root)


def database(name: str) -> str:
    """The path of a database that sqlite3 opens: it may be in a URI."""
    return unquote(urlsplit(name).path) if name.startswith("file:") else name


def lay_out(source: Path) -> None:
    """Make what was not shipped look as if it were there. source: the folder of the shipped set."""
    try:
        names = json.loads((source / NAMES).read_text())
    except FileNotFoundError:
        return
    project = str(source / PROJECT) + "/"
    made: set[str] = set()
    for name, size, changed in names[:MOST]:
        path = project + name
        with suppress(OSError):  # out of room: the file is then not there
            folder = os.path.dirname(path)
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                made.add(folder)
            if not name.endswith("/"):
                _lay_out_file(path, size, changed)


def _lay_out_file(path: str, size: int, changed: int) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0)
    except FileExistsError:
        os.utime(path, ns=(changed, changed))  # it was shipped
        return
    try:
        with suppress(OSError):  # larger than a file may be here
            os.ftruncate(file, size)
        os.utime(file, ns=(changed, changed))
    finally:
        os.close(file)


class Opener:
    """Brings files when this process opens them."""

    def __init__(self, source: Path, ask: Callable[[str], str]) -> None:
        """ask: gets a file by its path below the project; returns why it could not, or ""."""
        self._project = str(source / PROJECT) + os.sep
        self._ask = ask
        self._fail: Callable[[str], None] | None = None
        self._lock = threading.Lock()

    def install(self, fail: Callable[[str], None]) -> None:
        """Watch every open of Python's from now on. fail: ends the process, when a file cannot be had."""
        self._fail = fail
        audit.listen("open", lambda path, mode, flags: self.bring(path))
        audit.listen("sqlite3.connect", self._connect)

    def _connect(self, path: Any) -> None:
        if isinstance(path, str):
            self.bring(database(path))

    def bring(self, path: Any) -> None:
        """Have the bytes of a file that is about to be read, if it is one that was only named."""
        if not isinstance(path, (str, os.PathLike)):
            return
        name = os.path.abspath(os.fspath(path))
        if not isinstance(name, str) or not name.startswith(self._project) or not is_empty_place(name):
            return
        with self._lock:
            if not is_empty_place(name):
                return
            path = name[len(self._project) :].replace(os.sep, "/")
            why = self._ask(path)
        if why:
            self._fail(f"{path} was not read when the scene was planned, and cannot be had now: {why}")


def is_empty_place(path: str) -> bool:
    """Whether only the name of that file is here."""
    try:
        found = _lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0
