# SPDX-License-Identifier: MIT
"""Manim's configuration: read as a fresh process would on the submitter, sent resolved, applied on a worker."""

from __future__ import annotations

import hashlib
import logging
import math
import random
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import manim
import numpy as np
from manim import config
from manim._config.utils import ManimConfig, make_config_parser

from . import features

# Keys that belong to the submitter alone; a worker has its own values.
_LOCAL = {
    "input_file": "",
    "output_file": "",
    "scene_names": [],
    "media_dir": "",
    "log_dir": "",
    "video_dir": "",
    "sections_dir": "",
    "images_dir": "",
    "partial_movie_dir": "",
    "tex_dir": "",
    "text_dir": "",
    "tex_template_file": None,
    "plugins": [],
    "preview": False,
    "show_in_file_browser": False,
    "preview_command": "",
    "log_to_file": False,
    "notify_outdated_version": False,
    "progress_bar": "none",
    "save_sections": False,
    "disable_caching": True,
    "write_all": False,
}

# Read by Manim when it is imported (default arguments): a process that imported it under other values cannot take them.
_IMPORTED = ("frame_height", "frame_width", "plugins")


def _imported() -> dict[str, Any]:
    return {key: config[key] for key in _IMPORTED}


AT_IMPORT = _imported()


def read_files() -> None:
    """Make the global config what importing Manim in the current folder and environment would have made it."""
    manim.logger.setLevel("WARNING")  # at import, Manim's logger does not speak yet of the files it reads
    parser = make_config_parser()
    fresh = ManimConfig().digest_parser(parser)
    config._d.clear()
    config._d.update(fresh._d)
    config._parser = parser
    if hasattr(config, "_tex_template"):
        del config._tex_template
    manim.logger.setLevel(parser["CLI"]["verbosity"])
    from manim._config.logger_utils import parse_theme

    theme = parse_theme(parser["logger"])
    manim.console.__init__(theme=theme)  # in place: Manim's modules hold references to the two consoles
    manim.error_console.__init__(theme=theme, stderr=True)
    for handler in manim.logger.handlers:
        if hasattr(handler, "_log_render"):
            handler._log_render.show_time = parser["logger"].getboolean("log_timestamps", fallback=False)


def needs_fresh_process() -> bool:
    """Whether read_files found values that Manim has already baked in otherwise."""
    return _imported() != AT_IMPORT


def derive_seed(script: Path, names: list[str]) -> int:
    """The seed of a scene for which the user gave none: the same again for an unchanged script."""
    digest = hashlib.sha256(script.read_bytes() if script.is_file() else b"")
    digest.update("\0".join(names).encode())
    return int.from_bytes(digest.digest()[:4], "big") >> 1


def seed_generators(seed: int) -> None:
    """Seed what Manim seeds, before the script is imported."""
    random.seed(seed)
    np.random.seed(seed % (1 << 32))


def _encode(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)) and not isinstance(value, Enum):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Enum):
        return {"enum": [type(value).__module__, type(value).__qualname__, _encode(value.value)]}
    if isinstance(value, PurePath):
        return {"path": str(value)}
    if isinstance(value, manim.ManimColor):
        return {"color": [float(x) for x in value.to_rgba()]}
    if isinstance(value, tuple):
        return {"tuple": [_encode(x) for x in value]}
    if isinstance(value, list):
        return {"list": [_encode(x) for x in value]}
    if isinstance(value, dict):
        return {"dict": [[_encode(k), _encode(v)] for k, v in value.items()]}
    if isinstance(value, np.generic):
        return _encode(value.item())
    raise TypeError(f"config: no way to send a {type(value).__name__}")


def _decode(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "float":
        return float(inner)
    if kind == "enum":
        module, name, raw = inner
        return getattr(__import__(module, fromlist=[name]), name)(_decode(raw))
    if kind == "path":
        return Path(inner)
    if kind == "color":
        return manim.ManimColor(tuple(inner))
    if kind == "tuple":
        return tuple(_decode(x) for x in inner)
    if kind == "list":
        return [_decode(x) for x in inner]
    if kind == "dict":
        return {_decode(k): _decode(v) for k, v in inner}
    raise ValueError(f"config: unknown kind {kind}")


def resolved() -> dict[str, Any]:
    """The resolved config without the submitter's own keys, as JSON values."""
    out = {key: _encode(value) for key, value in config._d.items() if key not in _LOCAL}
    template = {key: _encode(value) for key, value in vars(config.tex_template).items()}
    return {"config": out, "tex_template": template, "baked": {k: _encode(v) for k, v in AT_IMPORT.items()}}


def baked(sent: dict[str, Any]) -> dict[str, Any]:
    """The values that Manim must have been imported with for this plan."""
    return {key: _decode(value) for key, value in sent["baked"].items()}


def apply(sent: dict[str, Any], script: Path, media: Path) -> None:
    """Make the global config of a worker what the submitter sent; everything written goes below media."""
    fresh = {key: value for key, value in _LOCAL.items() if key in config._d}
    config._d.update(fresh)
    for key, value in sent["config"].items():
        if key in config._d:
            config._d[key] = _decode(value)
    config.renderer = config._d["renderer"]  # by its setter: it swaps the base classes of mobjects
    features.set_media_loglevel()
    config.input_file = script
    for key, folder in {
        "media_dir": "",
        "log_dir": "logs",
        "video_dir": "videos",
        "sections_dir": "sections",
        "images_dir": "images",
        "partial_movie_dir": "partial",
        "tex_dir": "Tex",
        "text_dir": "texts",
    }.items():
        config._d[key] = str(media / folder)
    template = manim.TexTemplate()
    for key, value in sent["tex_template"].items():
        setattr(template, key, _decode(value))
    config.tex_template = template
    config._d["verbosity"] = "ERROR"
    logging.getLogger("manim").setLevel("ERROR")
