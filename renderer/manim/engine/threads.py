# SPDX-License-Identifier: MIT
"""Threads of a process that may be forked: it must have none then but its first."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from time import monotonic, sleep  # these, before the scene's clock takes their places
from typing import Any

_PATIENCE = 5.0  # seconds that the system may take to end a thread that has returned


def count() -> int:
    """Threads of this process, those of libraries included where the system tells."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


class Background:
    """A thread that does things one after another, while its owner goes on. The owner ends it."""

    def __init__(self, do: Callable[..., None], room: int) -> None:
        """do: is called with what is given; room: how many things may wait."""
        self._do = do
        self._waiting: queue.Queue[tuple | None] = queue.Queue(room)
        self._error: BaseException | None = None
        self._before = count()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def give(self, *args: Any) -> None:
        """Have it done; waits while there is no room. Raises what was raised by something given before."""
        self._raise()
        self._waiting.put(args)

    def end(self) -> None:
        """Wait until all is done and the thread is gone. Raises what was raised by something given."""
        self.drop()
        self._raise()

    def drop(self) -> None:
        """As end, whatever was raised."""
        self._waiting.put(None)
        self._thread.join()
        deadline = monotonic() + _PATIENCE
        while count() > self._before and monotonic() < deadline:  # Python is done with it, the system not yet
            sleep(0.0002)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (args := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    self._do(*args)
                except BaseException as error:  # noqa: BLE001 - it is the owner's
                    self._error = error
