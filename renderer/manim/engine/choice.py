# SPDX-License-Identifier: MIT
"""The hub's choices, given where its walkers stand: which cell to draw next, and which walkers to do without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import grid
from .protocol import Channel

CHECKPOINTS = 12  # parked forks kept per job, besides the walkers that have just drawn a cell


@dataclass(eq=False)
class Body:
    """A walker, as the hub sees it."""

    channel: Channel
    pid: int = 0  # of walkers that the hub itself forked
    standing: bool = False  # waiting for orders at frame
    frame: int = 0
    walk: float = 0.0  # CPU seconds of the walk to where it stands
    cell: int | None = None  # drawing it, or about to
    dropped: bool = False  # has been told to leave that cell
    drew: bool = False  # has drawn a cell: it goes on itself, checkpoints are forked
    leader: bool = False  # makes the plan
    checking: bool = False  # walks once more, to see whether the scene plays as planned
    comparing: bool = False  # walks nothing: compares two renderings of a cell
    ended: bool = False  # the leader, at the end of the scene
    guide: bool = False  # a worker's walker that goes ahead and is forked where cells begin
    goal: int = 0  # the frame at which the guide will stand
    coming: list[dict] = field(default_factory=list)  # orders for forks of the guide, at or after its goal
    forking: list[dict] = field(default_factory=list)  # orders for forks that have been asked for
    first_order: dict | None = None  # for when a fresh fork reports

    def fileno(self) -> int:
        return self.channel.fileno()


def next_cell(wanted: Sequence[int], cells: Sequence[grid.Cell], bodies: Sequence[Body]) -> int:
    """The cell of the wanted ones that a free slot should draw next.

    A walker that stands at a cell's start goes on with it. Else runs that another walker will come to by itself are
    split in their middle, so that walkers seldom have to step over what others draw.
    """
    standing = {body.frame for body in bodies if body.standing and body.drew}
    for cell in wanted:
        if cells[cell].first in standing:
            return cell
    next_of_others = {body.cell + 1 for body in bodies if body.cell is not None}
    runs: list[list[int]] = []
    for cell in sorted(wanted):
        if runs and runs[-1][-1] == cell - 1:
            runs[-1].append(cell)
        else:
            runs.append([cell])
    free = [run for run in runs if run[0] not in next_of_others]
    run = max(free or runs, key=len)
    return run[0] if free else run[len(run) // 2]


def spare(bodies: Sequence[Body], slots: int) -> list[Body]:
    """Walkers that only stand, and are not worth their memory."""
    out = []
    checkpoints = [b for b in bodies if b.standing and not (b.drew or b.guide or b.ended or b.forking)]
    checkpoints.sort(key=lambda b: b.walk)
    while len(checkpoints) > CHECKPOINTS:
        # Lose the one that leaves the shortest gap, in seconds of walking; never the first or the last.
        gaps = range(1, len(checkpoints) - 1)
        at = min(gaps, key=lambda i: checkpoints[i + 1].walk - checkpoints[i - 1].walk)
        out.append(checkpoints.pop(at))
    idle = [b for b in bodies if b.standing and b.drew]
    if len(idle) > slots:
        out.append(min(idle, key=lambda b: b.frame))
    return out
