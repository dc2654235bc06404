# SPDX-License-Identifier: MIT
"""Files that the scene writes: every walker but the leader has its own.

Several walkers run the same code at different times. One that read what another has just written, or missed a file
that another has removed, would draw something else. So a file that is opened for writing is written in a folder of this
walker, and found there again. Like all leading of paths, this holds for Python's own calls.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from typing import Any

_stat, _open, _os_open, _mkdir, _unlink, _rename = os.stat, io.open, os.open, os.mkdir, os.unlink, os.replace
C_OPENS = (("av", "open"), ("manimpango", "register_font"))  # functions that open files in C, by module
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def reads(args: tuple, kwargs: dict) -> bool:
    """Whether one of C_OPENS is to read, by its arguments after the file."""
    return (args[0] if args else kwargs.get("mode")) in (None, "r")


def exists(path: str) -> bool:
    """Whether the system has something of that name, whatever this module makes of it."""
    try:
        _stat(path)
    except OSError:
        return False
    return True


class Files:
    """The one view of files of this process."""

    def __init__(
        self,
        shared: list[str | Path],
        elsewhere: Callable[[str], str],
        bring: Callable[[Any], None] = lambda path: None,
    ) -> None:
        """shared: folders that walkers share; elsewhere: where a path of the scene is on this machine; bring: has the
        bytes of such a path there before C code looks for them."""
        self._shared = [os.path.abspath(folder) for folder in shared]
        self._scratch = self._shared[0]
        self._elsewhere = elsewhere
        self._bring = bring
        self._folder: str | None = None
        self._own: dict[str, str | None] = {}  # path -> private file; None: removed
        self._made: set[str] = set()  # folders made
        self._installed = False

    def install(self) -> None:
        """Lead all of Python's calls from now on."""
        if self._installed:
            return
        self._installed = True
        builtins.open = io.open = self._lead_open
        os.open = self._lead_os_open
        for name in ("stat", "lstat", "listdir", "scandir", "utime", "chmod"):
            setattr(os, name, self._lead(getattr(os, name)))
        os.access = self._lead(os.access, self._bring)
        for module, name in C_OPENS:
            owner = sys.modules[module]
            setattr(owner, name, self._lead_c_open(getattr(owner, name)))
        os.unlink = os.remove = self._lead_unlink
        os.mkdir = self._lead_mkdir
        os.rename = os.replace = self._lead_rename
        sys.path_hooks.insert(0, self._lead_import)
        sys.path_importer_cache.clear()

    def _lead_import(self, folder: str) -> Any:
        """A finder for modules in a folder of the submitter, which imports do not look up through os."""
        place = self._elsewhere(folder) if os.path.isabs(folder) else folder
        if place == folder:
            raise ImportError(folder)
        finder = FileFinder.path_hook(
            (SourceFileLoader, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES)
        )
        return finder(place)

    def adopt(self, snapshot: dict[str, str | None]) -> None:
        """Begin with the private files that a parent has prepared for this fork."""
        self._own, self._folder = dict(snapshot), None
        self._made = set()

    def snapshot(self, also: list[str]) -> dict[str, str | None]:
        """Copies for a fork, made before it: of this walker's files and of those in also."""
        paths: dict[str, str | None] = {path: path for path in also if not self._is_shared(path)}
        paths.update(self._own)
        out: dict[str, str | None] = {}
        folder = None
        for path, source in paths.items():
            if source is None or not exists(source):
                out[path] = None
                continue
            if not stat.S_ISREG(_stat(source).st_mode):
                continue
            folder = folder or tempfile.mkdtemp(prefix=".files-", dir=self._scratch)
            out[path] = os.path.join(folder, str(len(out)))
            shutil.copyfile(source, out[path])
        return out

    def _is_shared(self, path: str) -> bool:
        return any(path == folder or path.startswith(folder + os.sep) for folder in self._shared)

    def _absolute(self, path: Any) -> str | None:
        if isinstance(path, (str, os.PathLike)):
            name = os.fspath(path)
            if isinstance(name, str):
                return os.path.abspath(name)
        return None

    def to_read(self, path: Any) -> Any:
        """Where to read a path."""
        name = self._absolute(path)
        if name is None:
            return path
        if name in self._own:
            return self._own[name] or os.path.join(self._scratch, ".removed", "file")
        if os.path.isabs(os.fspath(path)) and not self._is_shared(name):
            return self._elsewhere(name)
        return path

    def _to_write(self, path: Any, keep: bool) -> Any:
        """Where to write a path; keep: its contents matter."""
        name = self._absolute(path)
        if name is None or self._is_shared(name):
            return path
        own = self._own.get(name)
        if own is None:
            before = self.to_read(path)
            if exists(before) and not stat.S_ISREG(_stat(before).st_mode):
                return path  # a device, a pipe
            if not exists(os.path.dirname(name)):
                return path  # fails as it would
            self._folder = self._folder or tempfile.mkdtemp(prefix=".files-", dir=self._scratch)
            own = os.path.join(self._folder, str(len(self._own)))
            if keep and exists(before):
                shutil.copyfile(before, own)
            self._own[name] = own
        return own

    def _lead_open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if set(mode) & set("wax+"):
            if "x" in mode and exists(self.to_read(file)):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), file)
            fresh = "w" in mode or "x" in mode
            return _open(self._to_write(file, keep=not fresh), mode.replace("x", "w"), *args, **kwargs)
        return _open(self.to_read(file), mode, *args, **kwargs)

    def _lead_os_open(self, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if kwargs.get("dir_fd") is not None:
            return _os_open(path, flags, *args, **kwargs)
        if (
            flags & _WRITES and not flags & os.O_EXCL
        ):  # exclusive files have names of their own: temporary ones
            return _os_open(self._to_write(path, keep=not flags & os.O_TRUNC), flags, *args, **kwargs)
        return _os_open(self.to_read(path), flags, *args, **kwargs)

    def _lead(self, function: Callable, before: Callable[[Any], None] = lambda path: None) -> Callable:
        def leading(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("dir_fd") is not None:
                return function(path, *args, **kwargs)
            place = self.to_read(path)
            before(place)
            return function(place, *args, **kwargs)

        return leading

    def _lead_c_open(self, function: Callable) -> Callable:
        def leading(file: Any, *args: Any, **kwargs: Any) -> Any:
            if reads(args, kwargs):
                file = self.to_read(file)
                self._bring(file)
            return function(file, *args, **kwargs)

        return leading

    def _lead_unlink(self, path: Any, *args: Any, **kwargs: Any) -> None:
        name = self._absolute(path)
        if name is None or self._is_shared(name) or kwargs.get("dir_fd") is not None:
            _unlink(path, *args, **kwargs)
            return
        if not exists(self.to_read(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self._own[name] = None

    def _lead_rename(self, source: Any, target: Any, *args: Any, **kwargs: Any) -> None:
        both = [self._absolute(source) or "", self._absolute(target) or ""]
        if all(map(self._is_shared, both)) or args or kwargs or os.path.isdir(source):
            _rename(source, target, *args, **kwargs)
            return
        with _open(self.to_read(source), "rb") as old, _open(self._to_write(target, keep=False), "wb") as new:
            shutil.copyfileobj(old, new)
        self._lead_unlink(source)

    def _lead_mkdir(self, path: Any, *args: Any, **kwargs: Any) -> None:
        """A folder that another walker has made is as good as new."""
        name = self._absolute(path)
        try:
            _mkdir(path, *args, **kwargs)
        except FileExistsError:
            if name is None or name in self._made or not os.path.isdir(name):
                raise
        if name is not None:
            self._made.add(name)


def keeps_files_open() -> bool:
    """Whether this process reads a file bit by bit: forks would share the place in it."""
    import fcntl

    for fd in range(3, 48):
        try:
            if (
                stat.S_ISREG(os.fstat(fd).st_mode)
                and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_WRONLY
            ):
                return True
        except OSError:
            pass
    return False


def shipped_places(source: Path, root: str) -> Callable[[str], str]:
    """On another machine: absolute paths of the submitter lead to the shipped copies."""
    here, outside = str(source), (source / "abs").is_dir()

    def elsewhere(name: str) -> str:
        if name.startswith(here):
            return name
        if name == root or name.startswith(root.rstrip(os.sep) + os.sep):
            shipped = os.path.join(here, "project", os.path.relpath(name, root))
            if exists(shipped):
                return shipped
        if outside:
            shipped = os.path.join(here, "abs", name.lstrip("/"))
            if exists(shipped):
                return shipped
        return name

    return elsewhere
