# SPDX-License-Identifier: MIT
"""The leader: the walk of the user's own command that makes the plan, and assembles the film at its end.

Walks that replay the command on the submitter, for early cells or as a check, go the same way up to the scene's end.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import manim
from manim import config
from manim.cli.render import commands
from manim.utils import module_ops

from . import (
    PLAN_DIGESTS,
    assemble,
    content,
    demux,
    digest,
    drawing,
    encode,
    features,
    fresh,
    grid,
    hazards,
    hooks,
    late,
    packages,
    private,
    settings,
)
from .hazards import Refused
from .trace import Trace, named
from .walker import Diverged, Walker, explain, leave, settle_memory

TYPED = "input_scenes.py"  # file that holds a script from standard input
SPEC = 1  # version of what a plan tells workers
BEFORE = ".before.json"  # file of the leader: what the files that it has written were before


class Several(BaseException):
    """The command is about several scenes, or does not say which: each is a job of its own."""

    def __init__(self, scenes: list[type], choose: bool) -> None:
        self.scenes = [scene.__name__ for scene in scenes]
        self.choose = choose  # the user is to say which


class Leader(hooks.Guide):
    """The walk that makes the plan, and assembles the film at its end."""

    def __init__(self, walker: Walker, order: dict) -> None:
        self.walker = walker
        self.args: list[str] = order["args"]
        self.given_seed: int | None = order.get("seed")
        self.given_assets: list[str] = order.get("assets") or []
        self.scene: str = order.get("scene", "")  # of those that the command is about, the one of this job
        self.input: str = order.get("input", "")  # what is typed in for the script "-"
        self.alone: bool = order.get("alone", False)  # draws everything itself, as Manim does
        self.watched: bool = order.get("watched", False)  # which files the walk reads is to be told
        self.salt: str = order.get("salt", "")  # of the keys of cells; "": there are to be none
        self.asks: dict[str, Any] | None = order.get("asks")  # of the plan: see hazards.py
        self.trace: Trace | None = None
        self.seen: set[str] = set()  # hashes of the scene's plays so far
        self.spent = (0.0, 0.0)  # seconds of walking, and of making outlines, up to the last play
        self.finished: list[str] = []
        self.failure = ""
        self.error: BaseException | None = None
        self.warnings: list[str] = []
        self.derived: int | None = None  # the seed, if none was given
        self.spec: dict[str, Any] = {}

    def run(self) -> None:
        """Run the command as `manim` would; ends the process."""
        walker = self.walker
        self.args, seed = features.adapt(self.args)
        if self.given_seed is None:
            self.given_seed = seed
        sys.argv = ["manim", "render", *self.args]
        (hooks.watch if self.alone else hooks.install)(walker, self)
        commands.scene_classes_from_file = self.scene_classes
        commands.error_console.print_exception = self.print_exception
        self._keep_sounds_local()
        self._replace_films()
        try:
            kind, text = self._main()
        except Refused as error:
            kind, text = "usage_error", str(error)
        except Several as several:
            walker.report({"t": "scenes", "scenes": several.scenes, "choose": several.choose})
            leave(0)
        except BaseException as error:  # noqa: BLE001 - what would have ended `manim` with a plain traceback
            kind, text, self.error = "scene_error", explain(error), error
        if not walker.leader:
            fail(walker, self.error or RuntimeError(text))
        if kind == "finished":
            walker.report({"t": "finished", "files": self.finished})
        elif isinstance(self.error, Diverged):  # from an earlier plan
            walker.report({"t": "changed", "text": str(self.error)})
        else:
            self._tell_reads()
            walker.report(
                {"t": "usage_error" if kind == "usage_error" else "scene_error", "text": text[-200_000:]}
            )
        atexit._run_exitfuncs()
        leave(0)

    def _main(self) -> tuple[str, str]:
        """What became of the command: "finished", "scene_error" or "usage_error", and why."""
        from manim.__main__ import main

        # The splash has been printed by the walk that found several scenes.
        known = ["--hide-splash"] if self.scene else []
        try:
            status = main.main(args=[*known, "render", *self.args], prog_name="manim", standalone_mode=False)
        except click.ClickException as error:
            text = io.StringIO()
            error.show(file=text)
            return "usage_error", text.getvalue()
        except SystemExit as end:
            status = end.code
        if self.failure:
            return "scene_error", self.failure
        if self.finished:
            return "finished", ""
        if self.spec.get("scene") and isinstance(status, int) and status:
            return "scene_error", ""
        return "usage_error", "nothing was rendered"

    # Before the scene.

    def scene_classes(self, file: Path, *args: Any, **kwargs: Any) -> Any:
        """In place of scene_classes_from_file: config is resolved, the script not yet imported."""
        walker = self.walker
        self._refuse_unsupported()
        names = [self.scene] if self.scene else list(config.scene_names or [])
        script = self._script(file)
        seed = features.given_seed() if self.given_seed is None else self.given_seed
        if seed is None:
            seed = self.derived = settings.derive_seed(script, names)
            self.warnings.append(f"no seed was given: chose --seed {seed}")
        features.set_seed(seed)
        config.notify_outdated_version = False
        resolved = settings.resolved()
        config.progress_bar = "none"
        cwd = os.getcwd()
        folders = [cwd] if self.typed(file) else [os.path.dirname(script), cwd]
        media = {
            str(config.get_dir("media_dir")): "media",
            str(config.get_dir("tex_dir")): "media/Tex",
            str(config.get_dir("text_dir")): "media/texts",
        }
        self.spec = {
            "v": SPEC,
            "manim": manim.__version__,
            "settings": resolved,
            "seed": seed,
            "hash_seed": fresh.hash_seed(dict(os.environ)),
            "typed": self.typed(file),
            "script": str(script),
            "cwd": cwd,
            "path": [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p],
            "home": os.path.expanduser("~"),
            "asks": self.asks or hazards.plan(script),
            "draw_all": walker.draw_all,
        }
        settings.seed_generators(seed)
        ours = [os.path.dirname(os.path.abspath(__file__)), str(walker.folder)]
        tell = self.warnings.append if walker.leader else lambda text: None
        asked = hazards.Asked(ours, tell)
        hazards.install(asked, seed, self.spec["asks"])
        walker.files = private.Files([walker.folder, *media], lambda path: path)
        if not walker.leader:
            walker.files.adopt(json.loads((walker.folder / BEFORE).read_text()))
            walker.files.adopt(walker.files.snapshot([]))
            walker.files.install()
        else:
            self.trace = Trace(folders, media, ours)
            self.trace.start()
            hazards.watch_network(asked)
            walker.written, walker.unseen = self.trace.written, self.trace.paused
            for pattern in self.given_assets:
                if not self.trace.add(pattern):
                    raise Refused(f"--asset {pattern}: there is no such file")
            if self.salt and not self.alone and walker.table is None:
                walker.contents = content.Contents(self.salt)
                drawing.record(walker.contents.capture)
        module_ops.prompt_user_for_choice = self._choose
        scene = self._one_of(module_ops.scene_classes_from_file(file, *args, **kwargs))
        self.spec["scene"] = scene.__name__
        settle_memory()
        return [scene]

    @staticmethod
    def typed(file: Path) -> bool:
        """Whether the script is what was typed in."""
        return str(file) == "-"

    def _script(self, file: Path) -> Path:
        """The script's own file; for one that was typed in, one that holds it, and standard input to read it from."""
        if not self.typed(file):
            return Path(os.path.abspath(file))
        path = self.walker.folder / TYPED
        if not path.exists():
            path.write_text(self.input)
        sys.stdin = io.StringIO(self.input)
        return path

    def _choose(self, classes: list[type]) -> list[type]:
        """In place of prompt_user_for_choice: nobody can be asked here."""
        if not self.scene:
            raise Several(classes, choose=True)
        return classes

    def _one_of(self, classes: list[type]) -> type:
        """The scene of this job."""
        found = [scene for scene in classes if scene.__name__ == self.scene] if self.scene else classes
        if not found:
            raise Refused(f"there is no scene {self.scene}" if self.scene else "there is no scene to render")
        if len(classes) > 1 and config.output_file:
            raise Refused("--output_file names the film of one scene: leave it out, or name one scene")
        if len(found) > 1:
            raise Several(found, choose=False)
        return found[0]

    def _refuse_unsupported(self) -> None:
        if features.is_opengl():
            raise Refused("--renderer opengl is not supported: its frames depend on the graphics card")
        for key, flag in (("live_preview", "--live-preview"), ("enable_gui", "--enable_gui")):
            if config._d.get(key):
                raise Refused(f"{flag} needs a window: publish shows nothing while it renders")
        if config._d.get("dry_run") or config.format == "none":
            raise Refused(
                "the configuration says that nothing is to be written (dry_run, or format = none): "
                "give --dry_run to see the plan"
            )

    def settings_known(self) -> None:
        """The first play begins: settings that the encoder refuses show before the scene has been walked."""
        walker = self.walker
        if not walker.leader:
            return
        self._settle_contents()
        if walker.kind != "video":
            return
        try:
            walker.headers = encode.check(walker.encoder, walker.folder)
        except Exception as error:
            encoder = walker.encoder
            raise Refused(
                f"the encoder {encoder['codec']} refuses {encoder['width']}x{encoder['height']} "
                f"{encoder['pixel_format']} with options {encoder['options']}: {error}"
            ) from error

    def _settle_contents(self) -> None:
        """Whether cells are to have keys is known when the configuration is."""
        walker = self.walker
        if walker.contents is None:
            return
        if config.disable_caching or walker.kind not in ("video", "images"):
            walker.contents = None
            drawing.record(None)
            return
        walker.contents.settle(walker.kind, walker.encoder, known=not walker.draw_all and not config.plugins)

    def _keep_sounds_local(self) -> None:
        """Sounds are mixed here, at the end: nobody else needs their files."""
        from manim.scene.scene_file_writer import SceneFileWriter

        add_sound = SceneFileWriter.add_sound

        def unshared(writer: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.walker.leader or self.walker.passing:
                return None
            with self.trace.local():
                return add_sound(writer, *args, **kwargs)

        SceneFileWriter.add_sound = unshared

    @staticmethod
    def _replace_films() -> None:
        """Films appear when they are whole: somebody may be watching the one that was there."""
        from manim.scene.scene_file_writer import SceneFileWriter

        combine_files = SceneFileWriter.combine_files

        def combined(writer: Any, input_files: Any, output_file: Any, *args: Any, **kwargs: Any) -> None:
            film = Path(os.path.realpath(output_file))
            part = film.with_name(f".{film.stem}.{os.getpid()}{film.suffix}")
            try:
                combine_files(writer, input_files, part, *args, **kwargs)
                os.replace(part, film)
            finally:
                part.unlink(missing_ok=True)

        SceneFileWriter.combine_files = combined

    # During the scene.

    def is_cached(self, writer: Any, key: str, exists: bool) -> bool:
        """A play is cached when its file exists, or will when the same play before it is done."""
        known = key in self.seen and features.output_kind(writer) == "video"
        self.seen.add(key)
        return exists or known

    def play_ended(self, scene: Any) -> None:
        """Tell of each play as soon as its frames are known."""
        walker = self.walker
        if not walker.leader:
            return
        play = walker.plays[-1]
        walk, outlines = walker.cpu() - walker.meter.outlines_here, walker.meter.outlines
        before, self.spent = self.spent, (walk, outlines)
        walker.report(
            {
                "t": "play",
                "play": len(walker.plays) - 1,
                "first": walker.play_first,
                "frames": play.frames,
                "frozen": play.frozen,
                "name": digest.name_of(scene),
                "fps": walker.fps,
                "keyed": walker.contents is not None,
                "walk": walk - before[0],
                "outlines": outlines - before[1],
            }
        )
        if walker.contents is not None:
            keys = walker.contents.end(scene.renderer, play, walker.fps, walker.cell_frames)
            for at in range(0, len(keys), 5000):
                walker.report({"t": "keys", "keys": keys[at : at + 5000]})

    # After the scene.

    def scene_ended(self, renderer: Any, scene: Any) -> None:
        """In place of CairoRenderer.scene_finished."""
        walker, writer = self.walker, renderer.file_writer
        if not walker.leader or walker.table is not None and len(walker.plays) != len(walker.table):
            walker.end_scene()
        walker.kind = features.output_kind(writer)
        walker.encoder = features.encoder_of(writer)
        walker.fps = walker.fps or float(config.frame_rate)
        cells = [] if self.alone else grid.cells(walker.plays, walker.fps, walker.cell_frames)
        self._announce(writer, cells)
        files = self._await_cells(cells)
        if self.alone:
            pass  # all is there
        elif walker.kind == "video":
            self._place_videos(writer, cells, files)
        elif walker.kind == "images":
            self._place_images(writer, cells, files)
        self.finished = features.finish(renderer, scene, hooks.original_scene_finished)
        if self.trace.snapshot_folder():
            shutil.rmtree(self.trace.snapshot_folder(), ignore_errors=True)

    def _announce(self, writer: Any, cells: list[grid.Cell]) -> None:
        walker, spec = self.walker, self.spec
        spec["kind"] = walker.kind
        spec["fps"] = walker.fps
        spec["encoder"] = walker.encoder
        spec["headers"] = walker.headers
        spec["hidden"] = sorted([play, steps] for play, steps in walker.hidden.items())
        files, warnings = self.trace.files()
        self.warnings += warnings
        left = self.trace.left()
        if left:
            self.warnings.append(named("the scene writes files; what other nodes write is not kept", left))
        (walker.folder / BEFORE).write_text(json.dumps(self.trace.before()))
        spec["root"] = self.trace.root
        if spec["typed"]:
            files.append((f"typed/{TYPED}", spec["script"]))
            spec["script"] = TYPED
        for key in ("cwd",) if spec["typed"] else ("script", "cwd"):
            spec[key] = os.path.relpath(spec[key], self.trace.root).replace(os.sep, "/")
        names = walker.folder / late.NAMES
        names.write_text(json.dumps(self.trace.names(), separators=(",", ":")))
        files.append((late.NAMES, str(names)))
        digests = walker.folder / PLAN_DIGESTS
        if not walker.samples.follows:
            walker.samples.save(digests)
        files.append((digest.NAME, str(digests)))
        self._tell_reads()
        for at in range(0, len(files), 500):
            walker.report({"t": "files", "files": files[at : at + 500]})
        needed = packages.needed(self.trace.imports(), config.plugins)
        walker.report(
            {
                "t": "plan",
                "scene": spec["scene"],
                "spec": json.dumps(spec, separators=(",", ":")),
                "plays": len(walker.plays),
                "frames": sum(play.frames for play in walker.plays),
                "cells": len(cells),
                "fps": walker.fps,
                "width": int(config.pixel_width),
                "height": int(config.pixel_height),
                "cell_frames": walker.cell_frames,
                "seed": spec["seed"],
                "derived": self.derived,
                "root": self.trace.root,
                "packages": needed,
                "inputs": self._inputs(needed),
                "kind": walker.kind,
                "headers": walker.headers,
                "expect": features.expected_file(writer),
                # Plays that Manim's cache has are not among the cells.
                "stream": features.can_stream(writer, walker.encoder) and not walker.hidden,
                "sound": features.has_sound(writer),
                "preview": features.opens_film(),
                "walk": walker.cpu(),
                "warnings": self.warnings,
            }
        )

    def _tell_reads(self) -> None:
        """Tell which files another walk would depend on; of one that failed, those that it has come to."""
        reads = self.trace.reads() if self.watched and self.trace else []
        for at in range(0, len(reads), 200):
            self.walker.report({"t": "read", "paths": reads[at : at + 200]})

    def _inputs(self, needed: list) -> str:
        """What cells without a key depend on beside the files of the job; "": there are to be no keys."""
        walker = self.walker
        if walker.contents is None:
            return ""
        plays = [[play.frames, play.frozen] for play in walker.plays]
        return walker.contents.inputs(self.trace, self.spec, [needed, plays, walker.cell_frames])

    def _await_cells(self, cells: list[grid.Cell]) -> dict[int, list[str]]:
        files: dict[int, list[str]] = {}
        while True:
            order = self.walker.order()
            if order["t"] == "cell_files":
                files.update((int(cell), paths) for cell, paths in order["cells"].items())
            elif order["t"] == "assemble":
                missing = [cell.index for cell in cells if cell.index not in files]
                if missing:
                    raise RuntimeError(f"{len(missing)} cells are missing, the first is {missing[0]}")
                if order.get("shown"):
                    features.leave_film_closed()
                return files

    def _place_videos(self, writer: Any, cells: list[grid.Cell], files: dict[int, list[str]]) -> None:
        encoder = self.walker.encoder
        form = demux.own_form(encoder, self.walker.folder)
        if files and assemble.check_headers(files, encoder) != form.headers:
            raise RuntimeError("the cells come from an encoder that does not fit this computer's")
        of_play: dict[int, list[str]] = {}
        for cell in cells:
            of_play.setdefault(cell.play, []).extend(files[cell.index])
        for play, paths in of_play.items():
            target = Path(writer.partial_movie_files[play])
            assemble.join(paths, target, encoder, form)
            manim.logger.info(
                f"Animation {play} : Partial movie file written in %(path)s", {"path": f"'{target}'"}
            )

    def _place_images(self, writer: Any, cells: list[grid.Cell], files: dict[int, list[str]]) -> None:
        number = 0
        for cell in cells:
            for path in files[cell.index]:
                target = features.place_image(writer, number)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                number += 1
        writer.frame_count = number

    def print_exception(self, *args: Any, **kwargs: Any) -> None:
        """In place of the console's: the traceback as Manim prints it goes into one message."""
        console = commands.error_console
        with console.capture() as capture:
            type(console).print_exception(console, *args, **kwargs)
        self.failure, self.error = capture.get(), sys.exception()


def fail(walker: Walker, error: BaseException) -> None:
    """Report what a walk that follows a plan has come to. The plan's own walk had no error, but drew nothing."""
    if isinstance(error, Diverged):
        walker.fail("diverged", str(error))
    if isinstance(error, MemoryError):
        walker.fail("memory", explain(error))
    text = explain(error)
    if isinstance(error, OSError):
        text += "If the file is there, it was not shared with this node: give --asset FILE to publish.\n"
    if walker.at_drawing:
        walker.fail("scene", text)
    what = text.rstrip().splitlines()[-1] if isinstance(error, OSError) else ""
    summary = f"{type(error).__name__}: {error}. {what}".split("\n")[0]
    walker.fail(
        "diverged", f"the scene fails here, but not where it was planned: {summary[:400]}\n{text[-3000:]}"
    )
