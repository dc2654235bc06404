# SPDX-License-Identifier: MIT
"""What the installed Manim offers. Features are tried; versions are never compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manim import config

from .encode import encoder_settings


def output_kind(writer: Any) -> str:
    """What a scene's writer makes: "video", "images" (a PNG sequence), "still" or "none"."""
    spec = writer.output_spec
    if spec.is_video:
        return "video"
    if spec.is_image_sequence:
        return "images"
    return "still" if spec.is_still else "none"


def encoder_of(writer: Any) -> dict[str, Any] | None:
    """The settings that the writer would give its encoder."""
    spec = getattr(writer, "video_encoder", None)
    return None if spec is None else encoder_settings(spec)


def place_image(writer: Any, number: int) -> Path:
    """Where the writer puts a picture of a PNG sequence."""
    return writer.output_plan.image_frame_path(number)


def expected_file(writer: Any) -> str:
    """The artefact that the writer will make, as far as is known before the end."""
    path = writer.output_plan.primary_artifact
    return "" if path is None else str(path)


def is_opengl() -> bool:
    """Whether the user asked for the OpenGL renderer."""
    return config.renderer.value != "cairo"
