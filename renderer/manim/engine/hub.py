# SPDX-License-Identifier: MIT
"""The hub: a warm process with Manim imported, which serves one job and never runs the scene itself.

It forks the first walker, knows where every walker stands, and answers requests for cells by sending the walker that
stands nearest before a cell. docs/engine.md has the messages on both sides.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import NEVER, PLAN_DIGESTS, VERSION, choice, grid, late
from .choice import Body
from .protocol import Channel, Closed, Pipes

# What every walk imports sooner or later: here it is imported once.
LATER = ("av.subtitles.stream", "multiprocessing.synchronize", "rich.padding", "rich.table")

PATIENCE = 5.0  # seconds for a walker to make room in its socket: one that reads at all has some


def main() -> int:
    """Serve one job on standard input and output."""
    read, write = _take_standard_streams()
    pipes = Pipes(read, write)
    from . import environment

    for name in LATER:
        with suppress(ImportError):
            importlib.import_module(name)
    pipes.send({"t": "hello", "v": VERSION, **environment.describe()})
    return Hub(pipes).run()


def _take_standard_streams() -> tuple[int, int]:
    """Keep the protocol's descriptors to ourselves: what the scene prints goes to standard error."""
    import fcntl

    read = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 64)
    write = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 64)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return read, write


class Hub:
    """One job: a plan of the user's own scene, work on somebody's cells, or a film of them."""

    def __init__(self, pipes: Pipes) -> None:
        self.pipes = pipes
        self.selector = selectors.DefaultSelector()
        self.selector.register(pipes.read, selectors.EVENT_READ)
        self.bodies: list[Body] = []
        self.job: dict | None = None
        self.spec: dict | None = None
        self.plays: list[grid.Play] = []
        self.cells: list[grid.Cell] = []
        self.fps = 0.0
        self.folder = Path()
        self.slots = 1
        self.wanted: list[int] = []  # cells asked for and not yet given to a walker, in the order of asking
        self.ahead = 0  # cells drawn at a time before anybody has asked, while the plan is made
        self.known: set[str] = set()  # keys of cells that need not be drawn ahead: they were before
        self.keyed = 0  # cells of which the leader has told the key
        self.early: list[dict] = []  # cells drawn so, until the plan is there to compare them with
        self.may_fork = True
        self.lacking: dict[str, list[Body]] = {}  # files of the project that walkers wait for
        self.refused: dict[str, str] = {}  # those that cannot be had, and why
        self.outlining: list[Body] = []  # walkers that want to make outlines: the first does, the others wait
        self.files: dict[int, list[str]] = {}  # of cells to join
        self.done = False

    def run(self) -> int:
        """Serve until the other side says `end` or goes away."""
        status = 0
        try:
            while not self.done:
                for key, _ in self.selector.select():
                    if key.fileobj == self.pipes.read:
                        for message in self.pipes.receive():
                            self.serve(message)
                    elif key.fileobj in self.bodies:
                        self.hear(key.fileobj)
                self.reap()
        except (Closed, BrokenPipeError):
            pass
        except (ValueError, KeyError, TypeError) as error:
            self.pipes.send({"t": "error", "text": f"protocol: {type(error).__name__}: {error}"})
            status = 1
        for body in self.bodies:
            body.channel.close()  # every walker ends when its channel does
            if body.pid:
                os.kill(body.pid, signal.SIGKILL)
        return status

    # Requests.

    def serve(self, message: dict) -> None:
        kind = message["t"]
        if kind == "plan" and self.job is None:
            self.begin(message)
            self.start_leader(draw_all=False)
        elif kind == "work" and self.job is None:
            self.begin(message)
            self.spec = json.loads(message["spec"])
            self.fps = self.spec["fps"]
            self.learn_plays(message["plays"])
            late.lay_out(Path(message["in"]))
        elif kind == "join" and self.job is None:
            self.begin(message)
            self.spec = json.loads(message["spec"])
        elif kind in ("cell_files", "assemble") and self.job is not None and self.job["t"] == "join":
            self.join(message)
        elif kind == "given" and self.job is not None:
            self.give(message)
        elif kind == "work_plays" and self.job is not None:
            self.learn_plays(message["plays"])
        elif kind == "render" and self.job is not None:
            known = {*self.wanted, *self.under_way()}
            self.wanted += [cell for cell in message["cells"] if cell not in known]
            self.dispatch()
        elif kind == "drop":
            self.drop(set(message["cells"]))
        elif kind == "slots":
            self.slots = max(1, message["slots"])
            self.dispatch()
        elif kind in ("cell_files", "assemble"):
            for leader in [body for body in self.bodies if body.ended]:
                self.tell(leader, message)
        elif kind == "check" and self.job is not None and self.job["t"] == "plan" and self.spec is not None:
            self.start_check()
        elif kind in ("compare", "look") and self.job is not None and self.spec is not None:
            self.start_comparison(message)
        elif kind == "end":
            self.done = True
        else:
            raise ValueError(f"{kind} is not expected now")

    def begin(self, job: dict) -> None:
        self.job = job
        self.folder = Path(job["out"]).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.slots = max(1, job.get("slots", 1))
        self.ahead = job.get("ahead", 0) if job["t"] == "plan" else 0
        if job.get("known"):
            self.known = set(Path(job["known"]).read_text().split())

    def learn_plays(self, plays: list) -> None:
        self.plays += [grid.Play(frames, bool(frozen)) for frames, frozen in plays]
        self.cells = []

    def grid(self) -> list[grid.Cell]:
        """The cells of the plays known so far; those of later plays come behind."""
        if not self.cells:
            self.cells = grid.cells(self.plays, self.fps, self.job.get("cell_frames", 0))
        return self.cells

    def under_way(self) -> list[int]:
        """Cells that a walker has been found for."""
        cells = [body.cell for body in self.bodies if body.cell is not None and not body.dropped]
        return cells + [order["cell"] for body in self.bodies for order in body.coming + body.forking]

    def drop(self, cells: set[int]) -> None:
        self.wanted = [cell for cell in self.wanted if cell not in cells]
        for body in self.bodies:
            body.coming = [order for order in body.coming if order["cell"] not in cells]
            if body.first_order is not None and body.cell in cells:
                body.first_order = body.cell = None
            elif body.cell in cells and not body.dropped:
                body.dropped = True
                self.tell(body, {"t": "drop", "cell": body.cell})

    def give(self, message: dict) -> None:
        """A file has come, or will not: put it into its place, and let the walkers go on that have opened it."""
        path, error = message["path"], message.get("error", "")
        if not error:
            source = Path(self.job["in"])
            try:
                os.replace(source / message["from"], source / late.PROJECT / path)
            except OSError as problem:
                error = str(problem)
        elif message.get("final"):
            self.refused[path] = error
        for body in self.lacking.pop(path, []):
            self.tell(body, {"t": "given", "error": error})

    # Walkers.

    def spawn(self, run: Callable[[Any], None]) -> Body:
        """Fork a walker that begins before the user's first line."""
        mine, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            mine.close()
            self.child(theirs, run)
        theirs.close()
        return self.adopt(Body(Channel(mine, PATIENCE), pid))

    def child(self, sock: socket.socket, run: Callable[[Any], None]) -> None:
        """The rest of a forked walker's life."""
        from .walker import Walker, explain, leave

        status = 1
        try:
            self.selector.close()
            self.pipes.close()
            for body in self.bodies:
                body.channel.close()
            walker = Walker(Channel(sock), self.folder, self.job.get("cell_frames", 0))
            try:
                run(walker)
            except BaseException as error:  # noqa: BLE001 - it ends here in any case
                walker.fail("engine", explain(error))
        finally:
            leave(status)

    def adopt(self, body: Body) -> Body:
        self.bodies.append(body)
        self.selector.register(body, selectors.EVENT_READ)
        return body

    def start_leader(self, draw_all: bool) -> None:
        def lead(walker: Any) -> None:
            from . import run

            walker.draw_all = draw_all
            run.plan(walker, self.job)

        self.spawn(lead).leader = True

    def join(self, message: dict) -> None:
        """Note files of cells; when all are known, make the film of them in a process of its own."""
        if message["t"] == "cell_files":
            self.files.update((int(cell), paths) for cell, paths in message["cells"].items())
            return

        def film(walker: Any) -> None:
            from . import assemble

            walker.report({"t": "finished", "files": assemble.film(self.spec, self.files, self.folder)})

        self.spawn(film).leader = True  # what goes wrong is told as of a plan

    def start_from_scratch(self, order: dict) -> Body:
        """A walker from before the first line, with its first order."""

        plays = [[play.frames, play.frozen] for play in self.plays]

        def go(walker: Any) -> None:
            from . import run

            walker.start(order)
            walk = run.work if self.job["t"] == "work" else run.replay
            walk(walker, self.job, self.spec, plays)

        body = self.spawn(go)
        body.cell = order.get("cell")
        return body

    def start_check(self) -> None:
        """A walker that only compares."""
        plays = [[play.frames, play.frozen] for play in self.plays]

        def check(walker: Any) -> None:
            from . import run

            walker.start({"t": "walk", "frame": NEVER})
            run.check(walker, self.job, self.spec, plays)

        self.spawn(check).checking = True

    def start_comparison(self, message: dict) -> None:
        """A process that decodes strangers' files, and is the only one to suffer from it."""

        spec, cells = self.spec, self.grid()

        def run(walker: Any) -> None:
            from . import alike, look

            if message["t"] == "look":
                cell = cells[message["cell"]]
                reason, found = (
                    "fault",
                    look.fault(message["files"], spec, cell.frames, cell.images, self.folder),
                )
            else:
                reason = "unlike"
                found = alike.difference(message["own"], message["other"], spec["encoder"])
            walker.report({"t": "compared", "reason": reason if found else "", "text": found})

        self.spawn(run).comparing = True

    def hear(self, body: Body) -> None:
        try:
            messages = body.channel.receive()
        except Closed:
            self.bury(body)
            return
        for message in messages:
            self.heed(body, message)
        self.dispatch()

    def heed(self, body: Body, message: dict) -> None:
        kind = message["t"]
        if kind == "stand":
            body.standing, body.frame, body.walk = True, message["frame"], message["walk"]
            order, body.first_order, body.cell, body.dropped = body.first_order, None, None, False
            if order is not None:
                self.send_draw(body, order)
            elif body.guide:
                self.lead_on(body)
            self.thin_out()
        elif kind == "forked":
            new = self.adopt(Body(Channel(socket.socket(fileno=body.channel.take_fd()), PATIENCE)))
            if body.forking:
                new.first_order = body.forking.pop(0)
                new.cell = new.first_order["cell"]
        elif kind == "cell":
            body.drew = True
            if self.spec is None:
                self.early.append(message)
            else:
                self.tell_cell(message)
        elif kind == "need" and message["path"] in self.refused:
            self.tell(body, {"t": "given", "error": self.refused[message["path"]]})
        elif kind == "need":
            self.lacking.setdefault(message["path"], []).append(body)
            if len(self.lacking[message["path"]]) == 1:
                self.pipes.send(message)
        elif kind == "outline":
            self.outlining.append(body)
            if len(self.outlining) == 1:
                self.tell(body, {"t": "outline"})
        elif kind == "outlined":
            self.end_turn(body)
        elif kind == "unforkable":
            if self.may_fork:
                self.pipes.send({"t": "note", "text": message["text"]})
            self.may_fork = body.guide = False
            self.take_back(body)
        elif kind == "restart":
            self.plays, self.cells, self.wanted, self.early, body.leader = [], [], [], [], False
            self.keyed = 0
            self.pipes.send(
                {"t": "restart", "text": "the scene looks at its own pixels: every frame is drawn"}
            )
            for other in [other for other in self.bodies if other is not body]:
                self.forget(other)  # what they have drawn is of a walk that does not count
            self.start_leader(draw_all=True)
        elif kind == "failed":
            self.checked(body, message["reason"], message["text"])
            if body.leader:
                body.leader = False
                self.pipes.send({"t": "scene_error", "text": message["text"]})
            self.give_up(body, message["reason"], message["text"])
        elif kind == "plan":
            body.ended = True
            self.spec = json.loads(message["spec"])
            self.ahead, self.wanted, self.cells = 0, [], []
            del self.plays[message["plays"] :]  # the last one had begun, and did not come to its end
            self.tell_early()
            self.pipes.send(message)
        elif kind == "begun":
            self.draw_ahead(message)
        elif kind == "keys":
            self.heed_keys(message["keys"])
            self.pipes.send(message)
        elif kind == "play":
            if message["play"] == len(self.plays):  # its length was not known when it began
                self.draw_ahead(message)
            del message["fps"], message["keyed"]
            self.pipes.send(message)
        else:
            if kind in ("finished", "scene_error", "usage_error", "scenes"):
                body.leader = False
            body.checking = body.checking and kind != "checked"
            body.comparing = body.comparing and kind != "compared"
            self.pipes.send(message)

    def draw_ahead(self, play: dict) -> None:
        """The leader has come to a play whose frames are known: its cells may be drawn while it walks on."""
        self.fps = play["fps"]
        first = len(self.grid())
        self.learn_plays([[play["frames"], play["frozen"]]])
        if self.ahead and not (self.known and play["keyed"]):
            self.wanted += range(first, len(self.grid()))

    def heed_keys(self, keys: list[str]) -> None:
        """The leader has passed cells, and told their keys. Of those without one it is not known yet."""
        first, self.keyed = self.keyed, self.keyed + len(keys)
        if self.ahead and self.known:
            self.wanted += [first + i for i, key in enumerate(keys) if key and key not in self.known]

    def checked(self, body: Body, reason: str, text: str) -> None:
        """A check has found a difference, or could not be made; or a comparison could not."""
        if body.checking:
            body.checking = False
            self.pipes.send({"t": "checked", "reason": reason, "text": text})
        if body.comparing:
            body.comparing = False
            self.pipes.send({"t": "compared", "reason": reason, "text": text})

    def tell_cell(self, message: dict) -> None:
        message.pop("own")
        self.pipes.send(message)

    def tell_early(self) -> None:
        """Cells that were drawn while the plan was made count if their walkers went on like the leader."""
        from . import digest

        plan = digest.load(self.folder / PLAN_DIGESTS)
        for message in self.early:
            if message["own"] is not None and digest.agrees(plan, message["own"]):
                self.tell_cell(message)
        self.early = []

    def bury(self, body: Body) -> None:
        """A walker has ended."""
        self.forget(body)
        self.checked(body, "died", "the process died")
        self.give_up(body, "died", "the process died")
        if body.leader:
            self.pipes.send({"t": "scene_error", "text": "the process that ran the scene died"})
        self.dispatch()

    def end_turn(self, body: Body) -> None:
        """A walker has made its outlines, or is gone: the next may."""
        had = self.outlining[:1] == [body]
        self.outlining = [other for other in self.outlining if other is not body]
        if had and self.outlining:
            self.tell(self.outlining[0], {"t": "outline"})

    def forget(self, body: Body) -> None:
        """Close a walker's channel: it ends, if it has not."""
        self.selector.unregister(body)
        self.bodies.remove(body)
        body.channel.close()
        self.end_turn(body)

    def tell(self, body: Body, message: dict) -> None:
        """Send a walker something. One that has ended, or reads nothing, is buried when its channel is read."""
        with suppress(Closed):
            body.channel.send(message)

    def give_up(self, body: Body, reason: str, text: str) -> None:
        """The cells that depended on a walker will not come."""
        cells = [order["cell"] for order in body.forking + body.coming]
        if body.cell is not None:
            cells.append(body.cell)
        body.cell, body.forking, body.coming = None, [], []
        for cell in cells:
            self.pipes.send({"t": "cell_error", "cell": cell, "reason": reason, "text": text})

    def reap(self) -> None:
        """Collect ended processes: those forked here, and all orphans if this is a namespace's first process."""
        try:
            while True:
                pid, _ = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                for body in self.bodies:
                    if body.pid == pid:
                        body.pid = 0
        except ChildProcessError:
            pass

    # Who draws what.

    def dispatch(self) -> None:
        """Give wanted cells to walkers while there are free slots."""
        while self.wanted and self.busy() < (self.ahead or self.slots):
            cell = choice.next_cell(self.wanted, self.grid(), self.bodies)
            self.wanted.remove(cell)
            if not self.assign(self.grid()[cell]):
                self.wanted.insert(0, cell)
                return

    def busy(self) -> int:
        return sum((body.cell is not None) + len(body.coming) + len(body.forking) for body in self.bodies)

    def assign(self, cell: grid.Cell) -> bool:
        """Have the walker that stands nearest before the cell draw it, or a fork of it; False if none can yet."""
        order = {
            "t": "draw",
            "cell": cell.index,
            "first": cell.first,
            "end": cell.end,
            "images": cell.images,
            "play_frames": self.plays[cell.play].frames,
            "digests": str(self.folder / PLAN_DIGESTS) if self.job["t"] == "plan" and self.spec else None,
        }
        guide = next((body for body in self.bodies if body.guide and not body.standing), None)
        able = [b for b in self.bodies if b.standing and b.frame <= cell.first and not b.ended]
        # Where a play begins, a checkpoint has already made what the scene makes before it; elsewhere forks cost more.
        opens = cell.index == 0 or self.grid()[cell.index - 1].play != cell.play
        best = max(able, key=lambda b: (b.frame, b.drew != opens), default=None)
        if guide is not None and guide.goal <= cell.first and (best is None or best.frame < guide.goal):
            guide.coming.append(order)
        elif best is None and self.spec is None:
            return False  # the plan is being made
        elif best is None and (self.job["t"] == "plan" or guide is not None or not self.may_fork):
            self.start_from_scratch(order)
        elif best is None:
            guide = self.start_from_scratch({"t": "walk", "frame": cell.first})
            guide.guide, guide.goal, guide.coming = True, cell.first, [order]
        elif best.drew or not self.may_fork:
            self.send_draw(best, order)
        elif best.guide:
            best.coming.append(order)
            self.lead_on(best)
        else:
            self.fork(best, order)
        return True

    def send_draw(self, body: Body, order: dict) -> None:
        body.standing, body.cell = False, order["cell"]
        self.tell(body, order)

    def fork(self, body: Body, order: dict) -> None:
        body.forking.append(order)
        self.tell(body, {"t": "fork"})

    def lead_on(self, guide: Body) -> None:
        """The guide stands: fork it for the cells that begin here, and send it on to the next."""
        guide.coming.sort(key=lambda order: order["first"])
        while guide.coming and guide.coming[0]["first"] <= guide.frame:
            self.fork(guide, guide.coming.pop(0))
        if guide.coming:
            guide.goal, guide.standing = guide.coming[0]["first"], False
            self.tell(guide, {"t": "walk", "frame": guide.goal})

    def take_back(self, body: Body) -> None:
        """Cells that were to be drawn by forks of a walker that cannot be forked any more."""
        self.wanted = [order["cell"] for order in body.forking + body.coming] + self.wanted
        body.forking, body.coming = [], []

    def thin_out(self) -> None:
        """Keep few walkers that only stand."""
        for body in choice.spare(self.bodies, self.slots):
            self.dismiss(body)

    def dismiss(self, body: Body) -> None:
        body.standing = False
        self.tell(body, {"t": "quit"})
