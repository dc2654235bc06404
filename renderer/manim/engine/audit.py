# SPDX-License-Identifier: MIT
"""Python's audit events: one hook for all that want to hear of some.

Every id() is an event, and copying a mobject or hashing it for the name of its film asks for millions. So the hook is one
function that looks into one dictionary. As a bound method it would cost three times as much: Python asks each hook for
an attribute that it has not, and formats an error where a method answers. Hooks cannot be taken back; they stay with the
process and its forks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_hearers: dict[str, list[Callable[..., Any]]] = {}


def listen(event: str, hear: Callable[..., Any]) -> None:
    """Have a function called with the arguments of each such event from now on; what it raises, the event raises."""
    if not _hearers:
        sys.addaudithook(_hook)
    _hearers.setdefault(event, []).append(hear)


def _hook(event: str, args: tuple) -> None:
    if event in _hearers:
        for hear in _hearers[event]:
            hear(*args)
