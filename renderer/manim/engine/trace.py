# SPDX-License-Identifier: MIT
"""Which files a walk reads: what other machines must have to make the same walk.

Python reports its own opens to audit hooks; opens in C are wrapped. What C code opens otherwise is not seen: so files
of the project that its code names, as text, or hands to another program, are taken as read. Nothing else is shipped,
and never a whole folder. Paths in the set: project/ (below the project's root), media/ (Manim's media folder: TeX and
text outlines, so that others need neither LaTeX nor fonts), abs/ (elsewhere).
"""

from __future__ import annotations

import ast
import glob
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import source_from_cache
from typing import Any

from . import audit, late, private, source

_READ_ONLY = os.O_RDONLY | os.O_CLOEXEC
_SMALL = 64 << 20  # bytes
_MOST = 10_000  # files that are told of
_MANIMS = {"Tex", "images", "logs", "texts", "videos"}  # folders of the media folder that Manim fills
_SYSTEM = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/var",
    "/System",
    "/Library",
)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class Trace:
    """Records the files this process reads from start() on."""

    def __init__(self, folders: list[str], media: dict[str, str], ours: list[str]) -> None:
        """folders: the script's, if it has one, and last the working one; media: folder of the submitter -> folder in the
        set; ours: folders of the engine.
        """
        self._folders = folders
        self.root = os.path.commonpath(folders)  # of the project; grows in files()
        self._media = sorted(((os.path.abspath(k), v) for k, v in media.items()), key=lambda kv: -len(kv[0]))
        self._environment = sorted(_environment() | {*ours})
        self._read: dict[str, str] = {}  # absolute path -> where its bytes are
        self._written: dict[str, int] = {}  # absolute path -> times opened for writing
        self._reread: set[str] = set()  # after being written
        self._listed: set[str] = set()  # folders
        self._handed: set[str] = set()  # arguments of other programs
        self._given: set[str] = set()  # by the user
        self._local: set[str] = set()  # read for this computer alone
        self._sources: list[tuple[str, ast.AST]] = []  # of the project's own code
        self._before: dict[str, str | None] = {}  # of written files: a copy of what was there, None: nothing
        self._snapshots: str | None = None
        self._paused = 0
        self._aside = 0

    def start(self) -> None:
        """Begin to record. It cannot be ended."""
        self._pid = os.getpid()
        audit.listen("open", self._opened)
        audit.listen("sqlite3.connect", self._connected)
        audit.listen("os.listdir", self._listed_folder)
        audit.listen("os.scandir", self._listed_folder)
        audit.listen("subprocess.Popen", self._started)
        self._wrap_c_opens()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, nothing is recorded: files that only the submitter needs."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1

    @contextmanager
    def local(self) -> Iterator[None]:
        """Within, what is read is not for others: files that only the submitter needs."""
        self._aside += 1
        try:
            yield
        finally:
            self._aside -= 1

    def _opened(self, path: Any, _mode: Any, flags: int) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            self.note(path, bool(flags & ~_READ_ONLY & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)))

    def _connected(self, path: Any) -> None:
        if isinstance(path, (str, bytes)):
            self.note(late.database(os.fsdecode(path)), False)

    def _listed_folder(self, path: Any) -> None:
        if self._active() and not _importing():
            with suppress(TypeError):  # a descriptor
                self._listed.add(os.path.abspath(os.fsdecode(path or ".")))

    def _started(self, _program: Any, arguments: Any, folder: Any, _env: Any) -> None:
        if not self._active():
            return
        for text in arguments if isinstance(arguments, (list, tuple)) else ():
            with suppress(TypeError, ValueError):
                self._handed.add(os.path.join(os.fsdecode(folder or os.getcwd()), os.fsdecode(text)))

    def _active(self) -> bool:
        return not self._paused and self._pid == os.getpid()

    def note(self, path: Any, writes: bool) -> None:
        """Record an open."""
        if not self._active():
            return
        path = os.path.abspath(os.fsdecode(path))
        if self._aside:
            if not writes:
                self._local.add(path)
            return
        if path.endswith((".pyc", ".pyo")):
            with suppress(ValueError):
                path = source_from_cache(path)  # workers have no such caches
        if writes:
            if path not in self._before and (self._place(path) or "media").split("/")[0] != "media":
                self._before[path] = self._keep(path)
            if self._read.get(path) == path:
                self._read[path] = self._before.get(path) or path
            if path not in self._read:
                self._written[path] = self._written.get(path, 0) + 1
        elif path in self._written:
            self._reread.add(path)
        elif path not in self._read:
            self._read[path] = path

    def add(self, pattern: str) -> bool:
        """Ship what the user has named: files, or folders whole but for what is hidden; whether there is any."""
        found = False
        with self.paused():
            for place in glob.iglob(os.path.abspath(os.path.expanduser(pattern)), recursive=True):
                inside = glob.iglob(os.path.join(glob.escape(place), "**"), recursive=True)
                for path in inside if os.path.isdir(place) else [place]:
                    if os.path.isfile(path):
                        found = True
                        self._read[path] = path
                        self._given.add(path)
        return found

    def written(self) -> list[str]:
        """Files that the walk has written so far."""
        return sorted(self._written)

    def left(self) -> list[str]:
        """The user's files that the walk has written: no caches, nothing hidden or temporary. To be asked for after files()."""
        out = []
        for path in sorted(self.before()):
            place = self._place(path) or ""
            temporary = place.startswith("abs/") and _inside(path, tempfile.gettempdir())
            if place and not (temporary or "/." in place or "/__pycache__/" in place):
                out.append(path)
        return out

    def before(self) -> dict[str, str | None]:
        """Where to find written files as they were before; those that are shipped as they are now are left out."""
        return {path: copy for path, copy in self._before.items() if self._read.get(path) != path}

    def _keep(self, path: str) -> str | None:
        """The scene is about to change a file: keep what it is now, or None where there is none."""
        with self.paused():
            if not os.path.isfile(path):
                return None
            if self._snapshots is None:
                self._snapshots = tempfile.mkdtemp(prefix="meshnode-")
            copy = os.path.join(self._snapshots, str(len(os.listdir(self._snapshots))))
            try:
                return shutil.copyfile(path, copy)
            except OSError:
                return None

    def _wrap_c_opens(self) -> None:
        def wrap(function: Callable) -> Callable:
            def noted(file: Any, *args: Any, **kwargs: Any) -> Any:
                if isinstance(file, (str, os.PathLike)):
                    self.note(file, not private.reads(args, kwargs))
                return function(file, *args, **kwargs)

            return noted

        for module, name in private.C_OPENS:
            owner = sys.modules[module]
            setattr(owner, name, wrap(getattr(owner, name)))

    def files(self) -> tuple[list[tuple[str, str]], list[str]]:
        """What to ship, as (path in the set, file with its bytes), and warnings."""
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str):
                path = os.path.abspath(path)
                if path not in self._written:
                    self._read.setdefault(path, path)
        for path in self._written:
            if self._is_cache(path):
                self._read[path] = path
        self._grow_root()
        self._parse()
        for path in {*self._handed, *self._named()}:
            if path not in self._written and late.is_proper(path, self.root) and _is_small(path):
                self._read.setdefault(path, path)
        out, outside, hidden = {}, [], []
        for path, origin in sorted(self._read.items()):
            if path.endswith((".pyc", ".pyo")) or not os.path.isfile(origin):
                continue
            if os.path.basename(path) == "manim.cfg":
                continue  # its values are sent resolved
            name = self._place(path)
            if name is None:
                continue
            if name.startswith("abs/") and path not in self._given:
                if any(part.startswith(".") for part in name.split("/")):
                    hidden.append(path)
                    continue
                outside.append(path)
            out[name] = origin
        warnings = []
        if outside:
            warnings.append(
                named("the scene reads outside its project; these files are shared with the mesh", outside)
            )
        if hidden:
            warnings.append(named("the scene reads hidden files; these are not shared", hidden))
        return sorted(out.items()), warnings

    def reads(self) -> list[str]:
        """The user's files that this walk has read so far, shipped or not: not those of Manim's caches, nor those that
        it writes itself.
        """
        modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        paths = {os.path.abspath(path) for path in modules if isinstance(path, str)}
        paths = (paths | self._local | self._read.keys()) - self._written.keys() - self._before.keys()
        kept = (path for path in paths if (self._place(path) or "media").split("/")[0] != "media")
        return sorted(kept)[:_MOST]

    def _is_cache(self, path: str) -> bool:
        """Whether a walk elsewhere should find what this one has written.

        It should what the scene makes if it is not there, such as speech or a download. What Manim writes is not that,
        nor what the scene keeps changing.
        """
        place = self._place(path) or ""
        if place.startswith("media/"):
            return place.split("/")[1] not in _MANIMS
        return place.startswith("project/") and self._written[path] == 1 and path in self._reread

    def names(self) -> list[list]:
        """What lies in the project: see late.py. To be asked for after files()."""

        def closed(path: str) -> bool:
            return (
                any(_inside(path, folder) for folder, _ in self._media)
                or any(_inside(path, folder) for folder in self._environment)
                or os.path.exists(os.path.join(path, "pyvenv.cfg"))
            )

        with self.paused():
            return late.survey(self.root, self._folders, self._listed, closed, self._written)

    def imports(self) -> set[str]:
        """Top-level modules of the environment that the project's own code imports. To be asked for after files()."""
        named = {name for _, tree in self._sources for name in source.imports(tree)}
        files = {name: getattr(sys.modules.get(name), "__file__", None) for name in named}
        return {name for name, file in files.items() if file and self._place(os.path.abspath(file)) is None}

    def imports_any(self, modules: set[str]) -> bool:
        """Whether the user's code may import one of these modules; where that is not known, it does."""
        return self._elsewhere() or any(
            not modules.isdisjoint(source.imports(tree)) for _, tree in self._sources
        )

    def names_any(self, names: set[str]) -> bool:
        """Whether the user's code has one of these names; where that is not known, it does."""
        return self._elsewhere() or any(not names.isdisjoint(source.names(tree)) for _, tree in self._sources)

    def _elsewhere(self) -> bool:
        """Whether there is code of the user's that was not looked at. To be asked for after files()."""
        parsed = {path for path, _ in self._sources}
        mine = [path for path in self._read if path.endswith(".py") and self._place(path) is not None]
        return not mine or not parsed.issuperset(mine)

    def _parse(self) -> None:
        """Read the project's own code."""
        self._sources.clear()
        for path in [path for path in self._read if path.endswith(".py")]:
            if (self._place(path) or "").startswith("project/"):
                with self.paused(), suppress(OSError), open(path, "rb") as file:
                    tree = source.parse(file.read())
                    if tree is not None:
                        self._sources.append((path, tree))

    def _named(self) -> Iterable[str]:
        """Paths that the project's own code has as text, from its folder and the working one."""
        for path, tree in self._sources:
            for text in source.texts(tree):
                for start in (self._folders[-1], os.path.dirname(path)):
                    yield os.path.normpath(os.path.join(start, text))

    def _grow_root(self) -> None:
        """Take in what lies beside the project (../pictures), so that relative paths lead there on a worker too."""
        home = os.path.expanduser("~")
        for path in sorted(self._read):
            if (self._place(path) or "").startswith("abs/"):
                root = os.path.commonpath([self.root, path])
                if not _inside(home, root) and len(root.split(os.sep)) > 2:
                    self.root = root

    def _place(self, path: str) -> str | None:
        for folder, name in self._media:
            if _inside(path, folder):
                return f"{name}/{os.path.relpath(path, folder)}".replace(os.sep, "/")
        if any(_inside(path, folder) for folder in self._environment):
            return None
        if _inside(path, self.root):
            return f"project/{os.path.relpath(path, self.root)}".replace(os.sep, "/")
        if any(_inside(path, folder) for folder in _SYSTEM):
            return None
        return "abs/" + os.path.splitdrive(path)[1].replace(os.sep, "/").lstrip("/")

    def snapshot_folder(self) -> str | None:
        """A temporary folder that the caller removes at the end of the job, if one was needed."""
        return self._snapshots


def _is_small(path: str) -> bool:
    """Whether a path is a file that may be shipped though nobody was seen to read it: an old film is none."""
    return os.path.isfile(path) and os.path.getsize(path) <= _SMALL


def _importing() -> bool:
    """Whether it is Python's search for modules that has raised the event now being heard."""
    return sys._getframe(3).f_code.co_filename.startswith("<frozen importlib")


def named(what: str, paths: list[str]) -> str:
    """One line about files, of which it names the first."""
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    return f"{what}: {shown}"


def _environment() -> set[str]:
    """Folders of the Python environment: every machine has its own."""
    paths = {
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sys.base_exec_prefix,
        *sysconfig.get_paths().values(),
    }
    try:
        import site

        paths |= {*site.getsitepackages(), site.getusersitepackages()}
    except (ImportError, AttributeError):
        pass
    paths |= {os.path.realpath(p) for p in paths}
    # A prefix such as / or /usr/.. would hide whole projects; an environment inside a project is fine.
    return {p for p in paths if p and p not in (os.sep, os.path.expanduser("~"))}
