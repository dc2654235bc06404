# SPDX-License-Identifier: MIT
"""Keys of cells: what a cell's bytes depend on, as one hash, so that an equal cell need not be rendered again.

The walk that makes the plan goes through Camera.capture_mobjects for every frame. What Manim's drawing would read there
is hashed: the order and the values of all mobjects given to it, the camera's, the background's. With what the encoder is
told, and with the environment, that is all there is: if what draws is Manim's own (original.py). Where that is in doubt,
the cell has no key of its own, and depends on all inputs of its job.
"""

from __future__ import annotations

import json
import os
from array import array
from hashlib import sha256
from operator import itemgetter
from typing import Any

import numpy as np
from manim import ManimColor, config
from manim.camera import camera as cameras
from manim.constants import CapStyleType, LineJointType
from manim.mobject.mobject import Mobject

from . import encode, grid
from .original import NOTHING, PICTURE, POINTS, VECTORS, Original
from .trace import Trace

VERSION = 1  # of what a key is made of
_STYLES = 10_000  # remembered words of styles
_CLOCKS = {"time", "datetime", "calendar", "importlib"}  # modules that tell the time, or bring such
# Names of what reads the environment, or brings what does.
_SETTINGS = {"environ", "environb", "getenv", "getenvb", "expandvars", "__import__"}

_VECTORS = itemgetter(
    "points", "fill_rgbas", "stroke_rgbas", "background_stroke_rgbas",
    "background_image", "joint_type", "cap_style",
    "stroke_width", "background_stroke_width", "shade_in_3d", "tolerance_for_point_equality",
    "n_points_per_cubic_curve", "z_index",
)  # fmt: skip
_POINTS = itemgetter("points", "rgbas", "stroke_width", "z_index")
_PICTURE = itemgetter("points", "pixel_array", "resampling_algorithm", "z_index")

# Of a camera: what drawing makes, and what is looked at in another way.
_NOT_READ = {"background", "display_funcs", "pixel_array", "pixel_array_to_cairo_context"}
_TOLD = ("fixed_in_frame_mobjects", "fixed_orientation_mobjects")  # of each mobject
_CONFIG = ("pixel_width", "pixel_height", "frame_width")  # read by cameras as well
_PLAIN = (bool, int, float, str, type(None), np.generic)

# Where Manim does not set joints and caps for every mobject, those of the one before remain.
_SETS_JOINTS = LineJointType.AUTO in getattr(cameras, "LINE_JOIN_MAP", {})
_SETS_CAPS = CapStyleType.AUTO in getattr(cameras, "CAP_STYLE_MAP", {})


class Doubt(Exception):
    """What is drawn may depend on more than on what is hashed."""


class Contents:
    """The keys of the cells of one walk, play after play."""

    def __init__(self, salt: str) -> None:
        """salt: what else all cells depend on. To be made before the scene is imported."""
        self._salt = salt
        self._original = Original()
        self._head = b""
        self._encoder: dict[str, Any] | None = None
        self._kind = ""
        self._known = False
        self._open = False  # inside a play
        self._doubtful = False  # the whole of it
        self._parts: list[bytes | None] = []  # of what was captured since the last mark; None: in doubt
        self._still: bytes | None = b""  # what does not move
        self._frames: list[bytes | None] = []
        self._image: Any = None  # the renderer's picture of it
        self._kinds: dict[type, str] = {}
        self._background: tuple[Any, bytes] = (None, b"")
        self._backgrounds: list[tuple[Any, bytes]] = []  # of the play
        self._styles: dict[tuple, bytes] = {}

    def settle(self, kind: str, encoder: dict[str, Any] | None, known: bool) -> None:
        """What is made of the frames is known now. known: nothing is against keys of their own."""
        told = {name: value for name, value in (encoder or {}).items() if name != "options"}
        self._head = json.dumps([VERSION, self._salt, kind, told], sort_keys=True, default=str).encode()
        self._kind, self._encoder, self._known = kind, encoder, known

    def begin(self, renderer: Any) -> None:
        """A play begins."""
        self._open, self._parts, self._frames, self._kinds = True, [], [], {}
        self._background, self._backgrounds = (None, b""), []
        self._doubtful = not self._known or not self._original.unchanged(renderer)

    def still(self, renderer: Any) -> None:
        """What does not move in the play has been gone through."""
        if self._open:
            self._still, self._image = self._mark(), renderer.static_image

    def frame(self, renderer: Any) -> None:
        """A frame has been gone through; of a frozen play, its picture."""
        if not self._open:
            return
        if renderer.static_image is not self._image:  # the scene has meddled with it
            self._parts.append(b"without" if renderer.static_image is None else None)
        self._frames.append(self._mark())

    def end(self, renderer: Any, play: grid.Play, fps: float, cell_frames: int) -> list[str]:
        """The play is over: the keys of its cells, "" for those that depend on all inputs."""
        self._open = False
        if not play.frames:
            return []
        doubtful = self._doubtful or self._still is None or not self._lasted(renderer)
        keys = []
        for cell in grid.cells([play], fps, cell_frames):
            frames = self._frames if play.frozen else self._frames[cell.first : cell.end]
            if doubtful or None in frames or len(frames) != (1 if play.frozen else cell.frames):
                keys.append("")
                continue
            options = {}
            if self._encoder is not None:
                options = encode.options_for_part(self._encoder, cell.frames, play.frames)
            images = cell.images if self._kind == "images" else 0
            made = [cell.frames, play.frozen, images, sorted(options.items())]
            digest = sha256(self._head)
            digest.update(json.dumps(made, default=str).encode())
            for part in (self._still, *frames):
                digest.update(part)
            keys.append(digest.hexdigest())
        self._frames, self._kinds, self._backgrounds = [], {}, []
        return keys

    def inputs(self, trace: Trace, spec: dict[str, Any], more: list[Any]) -> str:
        """A hash of all that cells depend on beside the files of the job, for those that have no key of their own."""
        if not trace.imports_any(_CLOCKS):  # else the scene is told another time on each plan
            spec = {**spec, "asks": {**spec["asks"], "epoch": 0}}
        env = sorted(os.environ.items()) if trace.names_any(_SETTINGS) else []
        told = [VERSION, self._salt, spec, more, env]
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def capture(self, camera: Any, mobjects: list[Any], options: dict[str, Any]) -> None:
        """A camera has been given these mobjects to draw."""
        if not self._open or self._doubtful:
            return
        try:
            self._parts.append(self._captured(camera, mobjects, options))
        except Exception:  # noqa: BLE001 - scenes put anything anywhere
            self._parts.append(None)

    def _mark(self) -> bytes | None:
        """One digest of all that was captured since the last mark."""
        parts, self._parts = self._parts, []
        if None in parts:
            return None
        return sha256(b"".join(parts)).digest()

    def _lasted(self, renderer: Any) -> bool:
        """Whether what was found at the beginning of a play still holds at its end."""
        return (
            self._original.unchanged(renderer)
            and all(self._original.kind(cls) == kind for cls, kind in self._kinds.items())
            and all(_picture(array) == digest for array, digest in self._backgrounds)
        )

    def _captured(self, camera: Any, mobjects: list[Any], options: dict[str, Any]) -> bytes:
        if not options.get("include_submobjects", True) or set(options) - {"include_submobjects"}:
            raise Doubt
        digest = sha256(self._camera(camera))
        self._family(mobjects, digest, camera)
        return digest.digest()

    # The camera.

    def _camera(self, camera: Any) -> bytes:
        if not self._original.knows(type(camera)):
            raise Doubt
        values = vars(camera)
        words = [type(camera).__name__, *(f"{config[name]!r}" for name in _CONFIG)]
        parts: list[bytes] = []
        for name in sorted(values.keys() - _NOT_READ):
            value = values[name]
            if isinstance(value, _PLAIN):
                words.append(f"{name} {value!r}")
            elif value.__class__ is np.ndarray and value.dtype.kind in "fiub":
                words.append(f"{name} {value.dtype.str} {value.shape}")
                parts.append(value.tobytes())
            elif isinstance(value, Mobject):
                words.append(name)
                inside = sha256()
                self._family([value], inside, None)
                parts.append(inside.digest())
            elif isinstance(value, ManimColor):
                words.append(f"{name} {value.to_rgba().tolist()}")
            elif isinstance(value, (tuple, list)) and all(isinstance(v, _PLAIN) for v in value):
                words.append(f"{name} {value!r}")
            elif name not in _TOLD or not isinstance(value, (set, dict)):
                raise Doubt
        context = values["pixel_array_to_cairo_context"].get(id(values["pixel_array"]))
        words.append(repr(tuple(context.get_matrix())) if context is not None else "")
        parts.append(self._background_of(values["background"]))
        return "\n".join(words).encode() + b"\0" + b"".join(parts)

    def _background_of(self, picture: Any) -> bytes:
        if self._background[0] is not picture:
            self._background = (picture, _picture(picture))
            self._backgrounds.append(self._background)
        return self._background[1]

    # Mobjects.

    def _family(self, mobjects: list[Any], digest: Any, camera: Any) -> None:
        """Hash all that Manim could read of these mobjects, and of those below them, in their order."""
        fixed = {id(m) for m in getattr(camera, "fixed_in_frame_mobjects", ())}
        turned = {id(m): center for m, center in getattr(camera, "fixed_orientation_mobjects", {}).items()}
        kinds = self._kinds
        shadowed = self._original.shadowed
        seen: dict[int, int] = {}
        numbers: list[int] = []
        words: list[bytes] = []
        arrays: list[Any] = []
        stack = list(reversed(mobjects))
        while stack:
            mobject = stack.pop()
            count = len(seen)
            number = seen.setdefault(id(mobject), count)
            if number != count:  # there already: Manim draws it once
                numbers += (-1, number)
                continue
            cls = type(mobject)
            kind = kinds.get(cls)
            if kind is None:
                kind = kinds[cls] = self._original.kind(cls)
            values = mobject.__dict__
            if not kind or shadowed(values):
                raise Doubt
            below = values["submobjects"]
            if below.__class__ is not list:
                raise Doubt
            numbers.append(len(below))
            if kind is VECTORS:
                points, fill, stroke, back, image, joint, cap, *style = _VECTORS(values)
                if image:
                    raise Doubt  # drawn with another picture's colours
                numbers += (*points.shape, *fill.shape, *stroke.shape, *back.shape)
                arrays += (points, fill, stroke, back)
                words.append(self._style((*style,), joint, cap))
                if len(fill) > 1 or len(stroke) > 1 or len(back) > 1:
                    arrays.append(np.asarray(values["sheen_direction"], float))
                if "z_index_group" in values:
                    numbers += (-2, seen[id(values["z_index_group"])])  # elsewhere: in doubt
            elif "shade_in_3d" in values:
                raise Doubt  # drawn in an order that only shapes have
            elif kind is POINTS:
                points, rgbas, *style = _POINTS(values)
                numbers += (*points.shape, *rgbas.shape)
                arrays += (points, rgbas)
                words.append(self._style((*style,), None, None))
            elif kind is PICTURE:
                points, picture, *style = _PICTURE(values)
                numbers += (*points.shape, *picture.shape)
                arrays += (points, picture)
                words.append(self._style((*style,), None, None))
            elif kind is NOTHING and camera is None:
                points = values["points"]
                numbers += points.shape
                arrays.append(points)
            if fixed and id(mobject) in fixed:
                numbers.append(-3)
            if turned and id(mobject) in turned:
                numbers.append(-4)
                arrays.append(self._center(turned[id(mobject)]))
            if below:
                stack.extend(reversed(below))
        digest.update(b"".join(words))
        digest.update(array("q", numbers).tobytes())
        digest.update(_types(arrays))
        digest.update(_joined(arrays))

    def _style(self, style: tuple, joint: Any, cap: Any) -> bytes:
        """Numbers and names of a mobject's style as one word."""
        if joint is not None and (joint is not LineJointType.AUTO or cap is not CapStyleType.AUTO):
            if not (_SETS_JOINTS and _SETS_CAPS):
                raise Doubt
            return self._style(style, None, None) + f"{joint} {cap}\n".encode()
        word = self._styles.get(style)
        if word is None:
            if len(self._styles) >= _STYLES:
                self._styles.clear()
            if not all(isinstance(value, _PLAIN) for value in style):
                raise Doubt
            told = [float(v) if isinstance(v, (bool, int, float, np.number)) else str(v) for v in style]
            word = self._styles[style] = f"{told}\n".encode()
        return word

    def _center(self, center: Any) -> np.ndarray:
        """Where a mobject that is turned to the camera has its centre: said by a function, which may be the scene's."""
        owner = getattr(center, "__self__", None)
        manims = str(getattr(center, "__module__", "")).startswith("manim.")
        if not manims or owner is not None and not self._original.kind(type(owner)):
            raise Doubt
        return np.asarray(center(), float)


_FLOATS = np.dtype(float)


def _types(arrays: list[Any]) -> bytes:
    """The types of those arrays that are not tables of floats."""
    other = []
    for i, a in enumerate(arrays):
        if a.__class__ is not np.ndarray or a.dtype.kind not in "fiub":
            raise Doubt
        if a.dtype is not _FLOATS or a.ndim != 2:
            other.append(f"{i} {a.dtype.str} {a.shape}")
    return "\n".join(other).encode()


def _joined(arrays: list[Any]) -> bytes:
    try:
        return b"".join(arrays)
    except (BufferError, ValueError, TypeError):
        return b"".join(np.ascontiguousarray(a) for a in arrays)


def _picture(picture: Any) -> bytes:
    """The digest of a background; most have one colour."""
    words = f"{picture.dtype.str} {picture.shape} ".encode()
    flat = np.ascontiguousarray(picture)
    if flat.dtype == np.uint8 and flat.ndim == 3 and flat.shape[2] == 4 and flat.size:
        pixels = flat.view(np.uint32)
        if (pixels == pixels[0, 0, 0]).all():
            return words + flat[0, 0].tobytes()
    return words + sha256(flat).digest()
