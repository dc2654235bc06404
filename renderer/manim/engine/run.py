# SPDX-License-Identifier: MIT
"""What a walker runs: the user's command as `manim render` would (plan), or the scene it resolved to (work)."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import manim
from manim import config
from manim.utils import module_ops

from . import PLAN_DIGESTS, digest, features, fresh, grid, hazards, hooks, late, private, settings
from .leader import SPEC, Leader, fail
from .walker import Walker


def plan(walker: Walker, order: dict) -> None:
    """Run the user's own command; ends the process."""
    _enter(walker, order, "plan", {"order": order})
    walker.leader = True
    if order.get("again"):
        order = _again(walker, order)
    Leader(walker, order).run()


def _again(walker: Walker, order: dict) -> dict:
    """Hold the leader to the plan that an earlier process has made of the command; the order, with what it fixed."""
    told = json.loads(Path(order["again"]).read_text())
    spec = told["spec"]
    _follow(walker, spec, told["plays"])
    shutil.copyfile(told["digests"], walker.folder / PLAN_DIGESTS)
    walker.samples.follow(walker.folder / PLAN_DIGESTS, exact=True)
    return {**order, "asks": spec["asks"], "seed": spec["seed"]}


def _enter(walker: Walker, order: dict, run: str, arguments: dict[str, Any], anew: bool = False) -> None:
    """Take on the user's environment and folder, as if Manim had been started there; anew: in a new process."""
    env, cwd, umask = order["env"], order["cwd"], order.get("umask")
    here = fresh.hash_seed(dict(os.environ))
    kept = {k: os.environ[k] for k in os.environ if k.endswith("_NUM_THREADS")}
    os.environ.clear()
    os.environ.update(env)
    os.environ.update(kept)
    time.tzset()
    os.chdir(cwd)
    if umask is not None:
        os.umask(umask)
    settings.read_files()
    seed = fresh.hash_seed(env)
    if not walker.fresh and (anew or seed != here or settings.needs_fresh_process()):
        fresh.become(walker, run, arguments, seed)
    extra = [os.path.abspath(p) for p in env.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:0] = [cwd, *(p for p in extra if p not in sys.path)]


def replay(walker: Walker, order: dict, spec: dict, plays: list) -> None:
    """Run the user's command once more, for cells before every checkpoint; ends the process."""
    _enter(walker, order, "replay", {"order": order, "spec": spec, "plays": plays})
    _follow(walker, spec, plays)
    walker.samples.follow(walker.folder / PLAN_DIGESTS, exact=True)
    Leader(walker, {**order, "asks": spec["asks"], "seed": spec["seed"]}).run()


def check(walker: Walker, order: dict, spec: dict, plays: list) -> None:
    """Run the user's command once more, only to see whether the scene plays as planned; ends the process.

    All nodes have the plan's hash seed, so this walk has it too. What may differ is where things lie in memory: it is
    a new process, and its heap is moved.
    """
    _enter(walker, order, "check", {"order": order, "spec": spec, "plays": plays}, anew=True)
    walker.checking = True
    _HEAP.extend(bytes(size) for size in range(0, 512, 16) for _ in range(1 + os.getpid() % 61))
    _follow(walker, spec, plays)
    walker.samples.follow(walker.folder / PLAN_DIGESTS, exact=True)
    Leader(walker, {**order, "asks": spec["asks"], "seed": spec["seed"]}).run()


_HEAP: list[bytes] = []  # kept for ever: what is made later lies elsewhere


def _follow(walker: Walker, spec: dict, plays: list) -> None:
    """Hold the walker to a plan."""
    walker.table = [grid.Play(frames, frozen) for frames, frozen in plays]
    walker.hidden = dict(map(tuple, spec["hidden"]))
    walker.kind, walker.encoder, walker.fps = spec["kind"], spec["encoder"], spec["fps"]
    walker.headers = spec["headers"]
    walker.draw_all = spec["draw_all"]


def work(walker: Walker, order: dict, spec: dict, plays: list) -> None:
    """Run the scene of a plan somewhere else, from its first line; ends the process."""
    if spec["v"] != SPEC or spec["manim"] != manim.__version__:
        raise ValueError(f"the plan is of Manim {spec['manim']}, here is {manim.__version__}")
    baked = settings.baked(spec["settings"])
    same = spec["hash_seed"] == fresh.hash_seed(dict(os.environ)) and baked == settings.AT_IMPORT
    if not same and not walker.fresh:
        folder = fresh.write_config(walker.folder / ".config", baked)
        arguments = {"order": order, "spec": spec, "plays": plays}
        fresh.become(walker, "work", arguments, spec["hash_seed"], folder)
    _follow(walker, spec, plays)
    source = Path(order["in"]).resolve()
    walker.samples.follow(source / digest.NAME, order.get("exact", True))
    script = source / ("typed" if spec["typed"] else "project") / spec["script"]
    hooks.install(walker, Worker(walker))
    os.environ["HOME"] = spec["home"]  # "~" is part of the paths that the scene read
    opener = late.Opener(source, walker.ask)
    walker.files = private.Files(
        [walker.folder, source / "media"], private.shipped_places(source, spec["root"]), opener.bring
    )
    walker.files.install()
    opener.install(lambda text: walker.fail("file", text))
    folder = source / "project" / spec["cwd"]
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    sys.path[:0] = [str(folder), *spec["path"]]
    named = Path("-") if spec["typed"] else script
    if spec["typed"]:
        sys.stdin = io.StringIO(script.read_text())
    settings.apply(spec["settings"], named, source / "media")
    config.scene_names = [spec["scene"]]
    features.set_seed(spec["seed"])
    settings.seed_generators(spec["seed"])
    os.environ["TZ"] = spec["asks"]["zone"]
    time.tzset()
    ours = [os.path.dirname(os.path.abspath(__file__)), str(walker.folder)]
    hazards.install(hazards.Asked(ours, lambda text: None), spec["seed"], spec["asks"])
    _mute()
    sys.argv = ["manim", "render", str(named), spec["scene"]]
    _walk_scene(walker, named, spec["scene"])


class Worker(hooks.Guide):
    """The walk of another machine: it must never come to the end of the scene."""

    def __init__(self, walker: Walker) -> None:
        self.walker = walker

    def scene_ended(self, renderer: Any, scene: Any) -> None:
        self.walker.end_scene()


def _mute() -> None:
    """Nothing is heard or written down twice."""
    from manim.scene.scene_file_writer import SceneFileWriter

    SceneFileWriter.add_sound = lambda self, *args, **kwargs: None


def _walk_scene(walker: Walker, script: Path, name: str) -> None:
    try:
        module = module_ops.get_module(script)
        with manim.tempconfig({}):
            scene = getattr(module, name)()
            features.attach_manager(scene)
            scene.render()
        walker.end_scene()
    except BaseException as error:  # noqa: BLE001 - the scene may raise anything
        fail(walker, error)
