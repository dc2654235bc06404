# SPDX-License-Identifier: MIT
"""A walker: a process that runs the scene and stands at one of its frames.

A walker that *stands at* frame f has stepped the scene to just before f is drawn, and can draw any frame from f on. It
waits there for an order of the hub: `draw` a cell, `walk` to a frame, `fork` into two walkers at the same place, or
`assemble` (only the leader, the walker that made the plan, and only at the end of the scene). Between two stands it
steps every frame through Manim's own code. The hooks (hooks.py) call it; docs/engine.md lists its messages.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from . import content, digest, drawing, grid, late, private, threads
from .encode import ImageCell, VideoCell
from .meter import Meter
from .protocol import Channel, Closed, Unsent

THREADS = "the scene runs threads or reads a file bit by bit: every renderer walks it from its start"
ALONE = "this computer lets no walker be forked: each walks the scene from its start"
FOREVER = 1 << 62  # a frame that no scene reaches
CHECKPOINT_SECONDS = 0.1  # CPU seconds of walking between the first checkpoints; doubles as they become many
CHECKPOINTS = 12  # after so many, twice as far apart


class Diverged(BaseException):
    """This walk is not the walk that the frame table was made from."""


class Walker:
    """The one walker of this process."""

    def __init__(self, channel: Channel, folder: Path, cell_frames: int) -> None:
        """folder: where cells go; cell_frames: the manifest's, 0 for the usual lengths."""
        self.channel = channel
        self._pid = os.getpid()
        self.leader = False
        self.folder = folder
        self.cell_frames = cell_frames
        self.fps = 0.0
        self.kind = ""  # "video", "images", "still", "none"; known when the first play begins
        self.encoder: dict[str, Any] | None = None
        self.headers = ""  # that every cell must have, where cells have any
        self.draw_all = False  # the scene looks at its own pixels: draw every frame
        self.table: list[grid.Play] | None = None  # known to workers only
        self.hidden: dict[int, int] = {}  # frames of the plays that are stepped but exist already

        self.frame = 0  # the next to be drawn
        self.plays: list[grid.Play] = []  # those that have ended
        self.in_play = False
        self.play_first = 0
        self.play_steps = 0  # frames of the current play stepped so far
        self.play_upper = 0  # frames it will have, or fewer with a stop condition
        self.play_frozen = False
        self.play_counts = False  # its frames are to be drawn
        self.passing = False  # the play lies before those that the command asks for (-n)
        self.play_hidden = False  # its frames exist in Manim's cache
        self.play_exact = False  # it will have play_upper frames, not fewer
        self.needs_pixels = False  # frames inside the current play may be drawn, now or by a fork

        self.at_drawing = False  # a frame is being drawn, or could not be
        self.scene: Any = None  # known when the first play begins
        self.samples = digest.Samples()
        self.contents: content.Contents | None = None  # of the leader, whose walk tells the keys of cells
        self._sampled = -1  # frames of the current play after which a digest was taken last

        self.files: private.Files | None = None  # as this walker sees them
        self.written: Callable[[], list[str]] = list  # the files that the leader has written so far
        self.unseen: Callable[[], Any] = (
            nullcontext  # within, the leader reads files that are not the scene's to ship
        )
        self.first_order: dict | None = None  # of a walker that starts before the scene
        self.fresh = False  # not a fork of the hub: fresh.py
        self.checking = False  # walks to the end of the scene, only to see whether it plays as planned
        self._stop = FOREVER
        self._target: tuple[int, int, int] | None = None  # cell, first frame, end
        self._target_play_frames = 0  # frames of the play of the target cell
        self._images = 0  # frames of a PNG sequence in the target cell
        self._cell: VideoCell | ImageCell | None = None
        self.meter = Meter()
        self._started = self._arrived = 0.0  # CPU seconds
        self._arrived_at = 0.0  # on the monotonic clock
        self._cpu_before = 0.0
        self._next_checkpoint = 0.0  # the first frame always is one
        self._checkpoint_every = CHECKPOINT_SECONDS
        self._checkpoints = 0
        self._children: list[int] = []
        self._may_fork = hasattr(os, "fork")

    def start(self, order: dict | None) -> None:
        """Take the order that a walker from before the scene begins with; the leader has none."""
        self.first_order = order
        if order is not None:
            silence()
            self._obey(order)

    # What the hooks call.

    def begin_play(self, write: bool, cached: bool) -> None:
        """A play begins. write: its frames are part of the film; cached: they exist already."""
        self.in_play = True
        self.play_first, self.play_steps, self._sampled = self.frame, 0, -1
        if self.table is not None:
            hidden = len(self.plays) in self.hidden
            if self.leader and hidden and write and not cached:
                raise Diverged(f"play {len(self.plays)} was in Manim's cache, and is there no more")
            cached = hidden
        self.play_counts = counts = write and not cached
        self.play_hidden = write and cached
        self.needs_pixels = self.draw_all
        if self.table is not None:
            play = len(self.plays)
            if play >= len(self.table):
                raise Diverged(f"play {play} does not exist in the plan, which has {len(self.table)}")
            if not counts and self.table[play].frames:
                raise Diverged(
                    f"play {play} is skipped here, but has {self.table[play].frames} frames in the plan"
                )

    def enter_play(self, frozen: bool, upper: int, exact: bool) -> None:
        """The animations have begun, nothing of the play is drawn yet. exact: it has upper frames, not fewer."""
        self.play_frozen, self.play_upper, self.play_exact = frozen, upper, exact
        if not self.play_counts:
            return
        self._compare_start(frozen, upper, exact)
        if self.leader and exact:
            keyed = self.contents is not None
            self.report({"t": "begun", "frames": upper, "frozen": frozen, "fps": self.fps, "keyed": keyed})
        self._reach()
        first, end = self.frame, self.frame + upper
        if self._target is not None:
            self.needs_pixels = first <= self._target[1] < end
        elif self._stop == FOREVER:
            moving, still = grid.lengths(self.fps, self.cell_frames)
            self.needs_pixels = upper > (still if frozen else moving)
        else:
            self.needs_pixels = first < self._stop < end
        self.needs_pixels = self.needs_pixels or self.draw_all

    def _compare_start(self, frozen: bool, upper: int, exact: bool) -> None:
        if self.table is None:
            return
        play = len(self.plays)
        planned = self.table[play]
        if planned.frozen != frozen or (planned.frames > upper or (exact and planned.frames != upper)):
            raise Diverged(
                f"play {play} has {upper} {'frozen ' if frozen else ''}frames here, "
                f"{planned.frames} {'frozen ' if planned.frozen else ''}in the plan"
            )

    def next_frame(self) -> bool:
        """Before each frame of a moving play: whether it is to be drawn (else stepped over)."""
        if not self.play_counts:
            return self.draw_all
        if self.play_steps:
            self._reach()
        if self.table is not None and self.play_steps >= self.table[len(self.plays)].frames:
            raise Diverged(
                f"play {len(self.plays)} is longer here than {self.play_steps} frames, as in the plan"
            )
        return self.draw_all or self._drawing()

    def frame_done(self, pixels: Any) -> None:
        """After each frame of a moving play, with its pixels if next_frame said so."""
        self.play_steps += 1
        if not self.play_counts:
            return
        last = self.play_exact and self.play_steps == self.play_upper
        if last or self.play_steps % self._length() == 0:
            self._sample()
        if self._drawing():
            self._write(pixels, 1)
        else:
            self.frame += 1

    def frozen_frames(self, n: int, pixels: Any) -> None:
        """The n equal frames of a frozen play; pixels is None where needs_pixels is False."""
        self.play_steps = n
        if not self.play_counts:
            return
        self._sample()
        end = self.frame + n
        while self.frame < end:
            if self.frame > self.play_first:
                self._reach()
            if self._drawing():
                self._write(pixels, min(self._target[2], end) - self.frame)
            else:
                self.frame = min(end, self._next_place())

    def end_play(self) -> None:
        """The play is over, and its number of frames final."""
        play = grid.Play(self.play_steps if self.play_counts else 0, self.play_frozen and self.play_counts)
        if self.table is not None and self.play_counts and play != self.table[len(self.plays)]:
            planned = self.table[len(self.plays)]
            raise Diverged(
                f"play {len(self.plays)} has {play.frames} frames here, {planned.frames} in the plan"
            )
        if self.play_hidden:
            self.hidden[len(self.plays)] = self.play_steps
        self._sample()
        self.plays.append(play)
        self.in_play = False
        if self._cell is not None and self.frame == self._target[2]:
            self._cell_done()

    def end_scene(self) -> None:
        """A walker that is not the leader has no business at the end of a scene, unless it is there to check."""
        if self.checking and len(self.plays) == len(self.table):
            self.report({"t": "checked", "reason": "", "text": ""})
            leave(0)
        raise Diverged(f"the scene ends after {self.frame} frames and {len(self.plays)} plays here")

    def _drawing(self) -> bool:
        return self._target is not None and self._target[1] <= self.frame < self._target[2]

    def _next_place(self) -> int:
        """The next frame inside a frozen play at which something may happen."""
        if not self.needs_pixels:
            return FOREVER
        if self._target is not None:
            return self._target[1]
        if self._stop != FOREVER:
            return self._stop
        return self.frame + self._length() - (self.frame - self.play_first) % self._length()

    def _sample(self) -> None:
        """Take a digest of the scene here, for the plan or to compare with the plan.

        Places: before a frozen play is drawn; in others where cells may end, and after the last frame. Where the last
        frame is not known to be it until the play is over, there; the last cell waits for that. So no cell is reported
        that was drawn on the way to another state than the plan's.
        """
        if self._sampled == self.play_steps or self.kind not in ("video", "images"):
            return
        self._sampled = self.play_steps
        differs = self.samples.note(len(self.plays), self.play_steps, digest.take(self.scene))
        if differs:
            raise Diverged(
                f"play {len(self.plays)}{self._name()} differs from the plan after {self.play_steps} frames: {differs}"
            )

    def _name(self) -> str:
        name = digest.name_of(self.scene)
        return f" ({name})" if name else ""

    # Standing and going.

    def _reach(self) -> None:
        """The walker is just before self.frame: stand here if due, leave a checkpoint if one is due."""
        if self._target is not None and self._hear_drop():
            self._stop = self.frame
        if self._target is not None:
            return
        # Inside a play that was begun without drawing its unmoving part, nothing can be drawn.
        drawable = self.frame == self.play_first or self.needs_pixels
        if self.frame >= self._stop:
            if drawable:
                self.stand()
        elif drawable and (self.frame - self.play_first) % self._length() == 0:
            self._checkpoint()

    def _length(self) -> int:
        return grid.lengths(self.fps, self.cell_frames)[self.play_frozen]

    def _checkpoint(self) -> None:
        if self.cpu() < self._next_checkpoint or self.checking or not self._forkable():
            return
        if self._fork():
            self.stand()
            return
        self._checkpoints += 1
        if self._checkpoints % CHECKPOINTS == 0:
            self._checkpoint_every *= 2
        self._next_checkpoint = self.cpu() + self._checkpoint_every

    def stand(self) -> None:
        """Report the place, then follow orders until one of them is to go on."""
        self._target, self._stop = None, self.frame
        self.report({"t": "stand", "frame": self.frame, "walk": self.cpu()})
        while self._target is None and self._stop <= self.frame:
            self._obey(self.order())

    def order(self) -> dict:
        """The next order; ends the process when the hub has gone or says so."""
        try:
            order = self.channel.wait()
        except Closed:
            leave(0)
        if order["t"] == "quit":
            leave(0)
        return order

    def _obey(self, order: dict) -> None:
        kind = order["t"]
        if kind == "walk":
            self.walk(order["frame"])
        elif kind == "draw":
            self.draw(order)
        elif kind == "fork":
            if not self._forkable():
                self.report({"t": "unforkable", "text": THREADS})
            elif self._fork():
                self.report({"t": "stand", "frame": self.frame, "walk": self.cpu()})
        elif kind != "drop":  # a drop that came too late
            raise ValueError(f"order {kind}")

    def draw(self, order: dict) -> None:
        """Take on a cell: go to its first frame, draw it, report, stand at its end."""
        self._target = (order["cell"], order["first"], order["end"])
        self._images = order["images"]
        self._target_play_frames = order["play_frames"]
        self._started = self.cpu()
        self.meter.raster = self.meter.encode = 0.0
        if order.get("digests") and not self.samples.follows:
            self.samples.follow(Path(order["digests"]), exact=True)

    def walk(self, frame: int) -> None:
        """Go to a frame and stand there."""
        self._stop = frame

    def _write(self, pixels: Any, repeat: int) -> None:
        cell, first, end = self._target
        opening = self._cell is None
        if opening:
            self._arrived, self._arrived_at = self.cpu(), time.monotonic()
            if self.kind == "images":
                self._cell = ImageCell(self.folder, cell, self.meter, self._images)
            else:
                self._cell = VideoCell(
                    self.folder, cell, self.encoder, self.meter, end - first, self._target_play_frames
                )
        self._cell.write(pixels, repeat)
        if opening:
            self._compare_headers()
        self.frame += repeat
        if self.frame == end and self._sampled == self.play_steps:
            self._cell_done()

    def _cell_done(self) -> None:
        cell, first, end = self._target
        paths, self._cell = self._cell.finish(), None
        self.report(
            {
                "t": "cell",
                "cell": cell,
                "files": [[os.path.basename(p), os.stat(p).st_size] for p in paths],
                "frames": end - first,
                "seconds": time.monotonic() - self._arrived_at,
                "walk": self._arrived - self._started,
                "raster": self.meter.raster,
                "encode": self.meter.encode,
                "own": self.samples.own(),
            }
        )
        self.stand()

    def _compare_headers(self) -> None:
        if isinstance(self._cell, VideoCell) and self._cell.headers() != self.headers:
            self.fail(
                "headers",
                "the encoder here writes other headers than the one of the plan: the parts would not fit",
            )

    def _hear_drop(self) -> bool:
        """Whether the hub has told us to leave the current cell. The walker is then without one."""
        try:
            order = self.channel.poll()
        except Closed:
            leave(0)
        if order is None:
            return False
        if order["t"] == "quit":
            self._abort()
            leave(0)
        if order["t"] == "drop" and order["cell"] == self._target[0]:
            self._abort()
            return True
        return False

    def _abort(self) -> None:
        if self._cell is not None:
            self._cell.abort()
            self._cell = None
        self._target = None

    def restart_drawing(self) -> None:
        """The scene looks at its own pixels, and they were not drawn: the walk must be made again with every frame."""
        if self.leader:
            self.report({"t": "restart"})
            leave(0)
        self.fail("pixels", "the scene looks at its own pixels here, but did not when it was planned")

    def fail(self, reason: str, text: str) -> None:
        """Report that the walk cannot go on, and end. Reasons: docs/engine.md, cell_error."""
        cell = self._target[0] if self._target is not None else None
        self._abort()
        self.report({"t": "failed", "cell": cell, "reason": reason, "text": text[-8000:]})
        leave(1)

    def ask(self, path: str) -> str:
        """Have a file of the project that is only named here; returns why it cannot be had, or ""."""
        self.report({"t": "need", "path": path})
        try:
            answer = self.channel.expect("given", late.PATIENCE)
        except Closed:
            leave(0)
        return "no answer" if answer is None else answer["error"]

    def is_here(self) -> bool:
        """Whether this process is the walker's, and not one that the scene has forked."""
        return self._pid == os.getpid()

    def await_turn(self) -> None:
        """Wait until no other walker makes outlines, and none will before end_turn."""
        self.report({"t": "outline"})
        try:
            self.channel.expect("outline", None)
        except Closed:
            leave(0)

    def end_turn(self) -> None:
        self.report({"t": "outlined"})

    def report(self, message: dict, fd: int | None = None) -> None:
        """Tell the hub something; a walker whose hub has gone ends."""
        try:
            self.channel.send(message, fd)
        except Closed:
            leave(0)

    # Processes.

    def cpu(self) -> float:
        """CPU seconds that the walk to here has taken, those before the last fork included."""
        return self._cpu_before + time.process_time()

    def _forkable(self) -> bool:
        return self._may_fork and threads.count() == 1 and not private.keeps_files_open()

    def _fork(self) -> bool:
        """Become two walkers at the same place; True in the new one. The hub learns of it through a new channel.

        Where that cannot be, this one goes on alone, and the hub learns that instead.
        """
        state = random.getstate()  # Python reseeds its generator in a forked child
        sys.stdout.flush()
        sys.stderr.flush()
        cpu = self.cpu()
        with self.unseen():
            files = self.files.snapshot(self.written()) if self.files is not None else {}
        try:
            mine, theirs = socket.socketpair()
            child = os.fork()
        except OSError as error:
            self._stay_alone(error.strerror)
            return False
        if child:
            mine.close()
            self._children.append(child)
            try:
                self.report({"t": "forked"}, theirs.fileno())
            except Unsent as error:
                os.kill(child, signal.SIGKILL)  # the hub will never know of it
                self._stay_alone(error)
            theirs.close()
            self._reap()
            return False
        random.setstate(state)
        theirs.close()
        self.channel.close()
        self.channel = Channel(mine)
        self._pid = os.getpid()
        self._cpu_before = cpu - time.process_time()
        self.leader = False
        self._children = []
        self.samples.mark()
        self.contents = None
        drawing.record(None)
        self.written, self.unseen = list, nullcontext
        if self.files is not None:
            self.files.adopt(files)
            self.files.install()
        silence()
        return True

    def _stay_alone(self, why: Any) -> None:
        self._may_fork = False
        self.report({"t": "unforkable", "text": f"{ALONE} ({why})"})

    def _reap(self) -> None:
        """Collect forks that have ended. Only our own: the scene may be waiting for processes that it started."""
        self._children = [pid for pid in self._children if os.waitpid(pid, os.WNOHANG)[0] == 0]


def silence() -> None:
    """What the scene prints, its leader prints; the others run the same code again."""
    null = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def leave(status: int) -> None:
    """End this process without running anything of the scene's."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def explain(error: BaseException) -> str:
    """A traceback as text."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def settle_memory() -> None:
    """Before forks: garbage collected later would be copied into every one of them."""
    gc.collect()
    gc.freeze()
