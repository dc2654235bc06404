# SPDX-License-Identifier: MIT
"""A package of the project, with a file of its own."""

from importlib import resources

from .shapes import polygon

SIDES = int(resources.files(__name__).joinpath("sides.txt").read_text())
__all__ = ["SIDES", "polygon"]
