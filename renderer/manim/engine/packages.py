# SPDX-License-Identifier: MIT
"""Which installed packages a scene needs beside Manim: other machines must have the same versions of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import metadata

_with_manim: set[str] = set()  # top-level modules that Manim itself imports
_plugins: list[tuple[str, str, metadata.Distribution]] = []  # name, top-level module, and what brought it


def remember() -> None:
    """To be called when Manim is imported, and before any of the scene's code is: it takes a moment."""
    _with_manim.update(name.partition(".")[0] for name in sys.modules)
    for entry in metadata.entry_points(group="manim.plugins"):
        if entry.dist is not None:
            _plugins.append((entry.name, entry.value.partition(":")[0].partition(".")[0], entry.dist))


def needed(imported: Iterable[str], plugins: Iterable[str]) -> list[list[str]]:
    """Name and version of each distribution behind modules and Manim plugins.

    imported: top-level modules that the project's own code imports, and that belong to the environment. What such
    packages import in turn is theirs to require.
    """
    wanted, imported = set(plugins), set(imported)
    # Manim imports all plugins that are installed.
    found = {
        normal(dist.name): dist.version
        for name, module, dist in _plugins
        if name in wanted or module in imported
    }
    others = imported - _with_manim - sys.stdlib_module_names
    if others:
        owners = metadata.packages_distributions()
        for module in others:
            names = set(owners.get(module, ()))
            if len(names) == 1:  # of a namespace that several share, the owner is not known
                (name,) = names
                found[normal(name)] = metadata.version(name)
    return sorted(map(list, found.items()))


def normal(name: str) -> str:
    """The one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()
