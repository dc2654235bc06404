# SPDX-License-Identifier: MIT
"""On a worker: absolute paths of the submitter lead to the shipped files.

Only Python-level calls are led; relative paths need no help, for the project's folders have the same shape here.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def install(source: Path, root: str, home: str) -> None:
    """source: folder with project/, media/ and abs/; root, home: the submitter's project root and home folder."""
    here, outside = str(source), source / "abs"
    if outside.is_dir():
        os.environ["HOME"] = home  # "~" is part of the paths that the scene read

    def led(path: Any) -> Any:
        if not isinstance(path, (str, os.PathLike)):
            return path
        name = os.fspath(path)
        if not isinstance(name, str) or not os.path.isabs(name) or name.startswith(here):
            return path
        name = os.path.normpath(name)
        if name == root or name.startswith(root.rstrip("/") + "/"):
            shipped = os.path.join(here, "project", os.path.relpath(name, root))
            if _exists(shipped):
                return shipped
        shipped = os.path.join(here, "abs", name.lstrip("/"))
        return shipped if _exists(shipped) else path

    def lead(function: Callable) -> Callable:
        def leading(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            return function(led(path), *args, **kwargs)

        return leading

    stat = os.stat

    def _exists(path: str) -> bool:
        try:
            stat(path)
        except OSError:
            return False
        return True

    builtins.open = io.open = lead(io.open)
    for name in ("stat", "lstat", "access", "listdir", "scandir"):
        setattr(os, name, lead(getattr(os, name)))
