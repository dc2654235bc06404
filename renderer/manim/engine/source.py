# SPDX-License-Identifier: MIT
"""What a module's source says, without running it: the texts in it, what it imports, and whether it makes sets."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_LONGEST = 256  # characters of a text that may be a path


def parse(source: bytes) -> ast.AST | None:
    """The syntax tree of a module, None if it is none."""
    try:
        return ast.parse(source)
    except (ValueError, SyntaxError):
        return None


def texts(tree: ast.AST) -> Iterator[str]:
    """Texts that may be paths."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 0 < len(node.value) < _LONGEST:
            yield node.value


def makes_sets(tree: ast.AST | None) -> bool:
    """Whether there are sets in it, in as many words."""
    return tree is not None and any(
        isinstance(node, (ast.Set, ast.SetComp))
        or (isinstance(node, ast.Name) and node.id in ("set", "frozenset"))
        for node in ast.walk(tree)
    )


def imports(tree: ast.AST) -> Iterator[str]:
    """Top-level names of the modules that are imported anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def names(tree: ast.AST) -> Iterator[str]:
    """All names in it, of variables, attributes and imported modules."""
    yield from imports(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (name.name for name in node.names)
