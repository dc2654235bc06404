# SPDX-License-Identifier: MIT
"""Taking the camera through a frame without drawing it.

Drawing has effects that last: a three-dimensional camera computes its rotation matrix, a camera with sub-cameras
resizes them (and their frames, which are mobjects), the first drawing fixes the matrix of the cached Cairo context and
the camera attributes that Manim hashes. So a frame that is not wanted goes through all of Manim's drawing code as well,
down to Camera.capture_mobjects and Camera.set_pixel_array; only these two hold back.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from manim.camera.camera import Camera
from manim.mobject.types.image_mobject import ImageMobjectFromCamera
from manim.mobject.types.vectorized_mobject import VMobject

_capture = Camera.capture_mobjects
_set_pixel_array = Camera.set_pixel_array
_get_image = Camera.get_image

_held = False  # inside hold()
_stale: dict[int, Camera] = {}  # cameras whose pixels are not those of the last frame, by id
_settled: dict[int, Camera] = {}  # cameras without a context cache that have been through a drawing, by id
_on_stale_read: Callable[[], None] | None = None
_on_capture: Callable[[Camera, list, dict], None] | None = None  # told what cameras are given to draw


@contextmanager
def hold() -> Iterator[None]:
    """Within, cameras do everything but draw."""
    global _held
    before, _held = _held, True
    try:
        yield
    finally:
        _held = before


def drew(camera: Camera) -> None:
    """The camera's pixels, and those of its sub-cameras, are those of the frame again."""
    _stale.pop(id(camera), None)
    for shown in getattr(camera, "image_mobjects_from_cameras", ()):
        drew(shown.camera)


def is_stale(camera: Camera) -> bool:
    """Whether the camera's pixels are not those of the last frame."""
    return id(camera) in _stale


def install(on_stale_read: Callable[[], None]) -> None:
    """Replace the methods; on_stale_read is called when the scene looks at pixels that were not drawn."""
    global _on_stale_read
    _on_stale_read = on_stale_read
    Camera.capture_mobjects = _capture_mobjects
    Camera.set_pixel_array = _set_pixels
    Camera.get_image = _image
    Camera.pixel_array = property(_pixels, _put_pixels, _forget_pixels)


def record(on_capture: Callable[[Camera, list, dict], None] | None) -> None:
    """Tell what cameras are given to draw, whether they do or not."""
    global _on_capture
    _on_capture = on_capture


def _capture_mobjects(self: Camera, mobjects: Iterable[Any], **kwargs: Any) -> None:
    if _on_capture is not None:
        mobjects = list(mobjects)
    if _held:
        _pass_over(self, mobjects, **kwargs)
    else:
        _capture(self, mobjects, **kwargs)
    if _on_capture is not None:
        _on_capture(self, mobjects, kwargs)


def _pass_over(self: Camera, mobjects: Iterable[Any], **kwargs: Any) -> None:
    _stale[id(self)] = self
    watched = hasattr(self, "image_mobjects_from_cameras")
    if _has_settled(self) and not watched:
        return
    shown = self.get_mobjects_to_display(mobjects, **kwargs)
    for kind, group in itertools.groupby(
        shown, self.type_or_raise
    ):  # makes self.display_funcs, as drawing does
        for mobject in group:
            if isinstance(mobject, ImageMobjectFromCamera):
                mobject.get_pixel_array()  # takes on the size of its camera's picture
            elif kind is VMobject and not _has_settled(self) and not mobject.get_background_image():
                self.get_cairo_context(self.__dict__["pixel_array"])
                _settled[id(self)] = self


def _has_settled(camera: Camera) -> bool:
    if not hasattr(camera, "display_funcs"):
        return False
    if camera.get_cached_cairo_context(camera.__dict__.get("pixel_array")) is not None:
        return True
    # Moving cameras cache nothing; the others make a new context when their pixel array has been replaced.
    return id(camera) in _settled and not camera.pixel_array_to_cairo_context


def _set_pixels(self: Camera, pixel_array: Any, convert_from_floats: bool = False) -> None:
    if _held and not convert_from_floats:
        mine = self.__dict__.get("pixel_array")
        if mine is not None and mine.shape == np.asarray(pixel_array).shape:
            return
    _set_pixel_array(self, pixel_array, convert_from_floats)


def _image(self: Camera, pixel_array: Any = None) -> Any:
    if pixel_array is None and not _held and is_stale(self):
        _on_stale_read()
    return _get_image(self, pixel_array)


def _pixels(self: Camera) -> Any:
    try:
        value = self.__dict__["pixel_array"]
    except KeyError:
        raise AttributeError("pixel_array") from None
    if _stale and not _held and id(self) in _stale:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if not caller.startswith(("manim.", "meshnode_engine.")):
            _on_stale_read()
    return value


def _put_pixels(self: Camera, value: Any) -> None:
    self.__dict__["pixel_array"] = value


def _forget_pixels(self: Camera) -> None:
    self.__dict__.pop("pixel_array", None)
