# SPDX-License-Identifier: MIT
"""What the installed Manim offers. Features are tried; versions are never compared.

From Manim 0.22 on, a writer is made from settings and tells what it will do; before, it follows the configuration.
"""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from manim import config
from manim.cli.render import commands
from manim.scene import scene_file_writer
from manim.utils import file_ops

from .encode import encoder_settings

try:
    from manim.manager import Manager
except ImportError:
    Manager = None  # scenes need none to render themselves


def is_opengl() -> bool:
    """Whether the user asked for the OpenGL renderer."""
    return config.renderer.value != "cairo"


def attach_manager(scene: Any) -> None:
    """Do what the command does with a scene before it renders."""
    if Manager is not None:
        Manager(scene)


def set_media_loglevel() -> None:
    """Make libav as talkative as it is configured to be."""
    level = config._d.get("media_loglevel") or config._d.get("ffmpeg_loglevel")
    if level:
        logging.getLogger("libav").setLevel(level)


def given_seed() -> int | None:
    """The seed of the user's command or configuration."""
    return config._d.get("seed")


def set_seed(seed: int) -> None:
    """Have scenes seed the generators, where they do that."""
    if "seed" in config._d:
        config.seed = seed


def adapt(args: list[str]) -> tuple[list[str], int | None]:
    """The command in this Manim's own words, and the seed if it has none for that.

    Before `--format png-sequence` there was `--format png`, and before --seed nothing. The values have been checked.
    """
    options = {parameter.name: parameter for parameter in commands.render.params}
    sequences = "png-sequence" in options["format"].type.choices
    adapted: list[str] = []
    seed = None
    words = iter(args)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--seed" and "seed" not in options:
            seed = int(value if equals else next(words))
        elif name == "--format" and not sequences:
            value = value if equals else next(words)
            adapted.append("--format=" + ("png" if value.lower() == "png-sequence" else value))
        else:
            adapted.append(word)
    return adapted, seed


def output_kind(writer: Any) -> str:
    """What a scene's writer makes: "video", "images" (a PNG sequence), "still" or "none"."""
    spec = getattr(writer, "output_spec", None)
    if spec is None:
        return _configured_kind()
    if spec.is_video:
        return "video"
    if spec.is_image_sequence:
        return "images"
    return "still" if spec.is_still else "none"


def _configured_kind() -> str:
    if config["dry_run"]:
        return "none"
    if config["save_last_frame"]:
        return "still"
    if file_ops.write_to_movie():
        return "video"
    return "images" if file_ops.is_png_format() else "none"


def encoder_of(writer: Any) -> dict[str, Any] | None:
    """The settings that the writer would give its encoder."""
    if not hasattr(writer, "output_spec"):
        return _encoder_opened_by(writer) if output_kind(writer) == "video" else None
    spec = writer.video_encoder
    return None if spec is None else encoder_settings(spec)


class _Container:
    """Takes the place of a film that a writer opens, and keeps what it says of the encoder."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add_stream(self, codec: str, rate: Any, options: dict[str, str]) -> SimpleNamespace:
        stream = SimpleNamespace(codec=codec, frame_rate=rate, options=options)
        _Container.last = stream
        return stream


def _encoder_opened_by(writer: Any) -> dict[str, Any]:
    """Let a copy of the writer open a partial movie file, without files and threads."""
    instead = {"av": SimpleNamespace(open=_Container), "Thread": lambda **_: SimpleNamespace(start=int)}
    real = {name: getattr(scene_file_writer, name) for name in instead}
    vars(scene_file_writer).update(instead)
    try:
        copy.copy(writer).open_partial_movie_stream(file_path="none")
    finally:
        vars(scene_file_writer).update(real)
    stream = _Container.last
    stream.container_format = config["movie_file_extension"].removeprefix(".")
    stream.pixel_format = stream.pix_fmt
    return encoder_settings(stream)


def place_image(writer: Any, number: int) -> Path:
    """Where the writer puts a picture of a PNG sequence."""
    if hasattr(writer, "output_plan"):
        return writer.output_plan.image_frame_path(number)
    last = writer.image_file_path
    return last.with_name(f"{last.stem}{str(number).zfill(config['zero_pad'])}{last.suffix}")


def expected_file(writer: Any) -> str:
    """The artefact that the writer will make, as far as is known before the end."""
    if hasattr(writer, "output_plan"):
        path = writer.output_plan.primary_artifact
        return "" if path is None else str(path)
    kind = output_kind(writer)
    if kind == "video":
        return str(writer.gif_file_path if file_ops.is_gif_format() else writer.movie_file_path)
    return str(writer.image_file_path.parent) if kind == "images" else ""


def finish(renderer: Any, scene: Any, scene_finished: Any) -> list[str]:
    """Let Manim end the scene; the files that it names as ready. A PNG sequence is named by its folder."""
    writer, before = renderer.file_writer, config._d["output_file"]
    scene_finished(renderer, scene)
    if hasattr(writer, "output_plan"):
        final = getattr(writer, "final_file_path", None)
        return [] if final is None else [str(final)]
    named = config._d["output_file"]
    if named is not before:  # where it puts the path of what is ready
        return [str(named)]
    return (
        [str(writer.image_file_path.parent)] if output_kind(writer) == "images" and writer.frame_count else []
    )


def can_stream(writer: Any, encoder: dict[str, Any] | None) -> bool:
    """Whether the parts of the film are parts of an mp4, which it will be."""
    parts = encoder is not None and (encoder["container"], encoder["codec"]) == ("mp4", "libx264")
    return parts and Path(expected_file(writer)).suffix == ".mp4"


def has_sound(writer: Any) -> bool:
    """Whether sound will be mixed into the film."""
    return bool(getattr(writer, "includes_sound", False))


def opens_film() -> bool:
    """Whether Manim will open the film on the desktop, by the system's own choice of a program."""
    return bool(config._d.get("preview")) and not config._d.get("preview_command")


def leave_film_closed() -> None:
    """The user has seen the film: only its folder may still be opened."""
    open_file = file_ops.open_file

    def open_folder(path: Path, in_browser: bool = False) -> None:
        if in_browser:
            open_file(path, in_browser)

    file_ops.open_file = open_folder
