# SPDX-License-Identifier: MIT
"""Whether what draws is Manim's own, as it was when the scene began: no class of the scene's, and nothing put in its place.

Then a picture follows from the values that Manim's drawing reads. A scene that draws by itself may read anything.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from manim.camera.camera import Camera
from manim.mobject.mobject import Mobject
from manim.mobject.opengl.opengl_compatibility import ConvertToOpenGL
from manim.mobject.types.image_mobject import AbstractImageMobject, ImageMobjectFromCamera
from manim.mobject.types.point_cloud_mobject import PMobject
from manim.mobject.types.vectorized_mobject import VMobject
from manim.renderer.cairo_renderer import CairoRenderer

VECTORS, POINTS, PICTURE, NOTHING = "vectors", "points", "picture", "nothing"  # what Manim draws of a mobject


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Modules whose functions draw, or are called by what draws. Features are tried: not every version has all.
_MODULES = (
    "manim.camera.camera",
    "manim.camera.moving_camera",
    "manim.camera.multi_camera",
    "manim.camera.three_d_camera",
    "manim.constants",
    "manim.mobject.mobject",
    "manim.mobject.three_d.three_d_utils",
    "manim.mobject.types.image_mobject",
    "manim.mobject.types.point_cloud_mobject",
    "manim.mobject.types.vectorized_mobject",
    "manim.renderer.cairo_renderer",
    "manim.utils.bezier",
    "manim.utils.color.core",
    "manim.utils.family",
    "manim.utils.images",
    "manim.utils.iterables",
    "manim.utils.simple_functions",
    "manim.utils.space_ops",
)

# What a class may have otherwise than Manim: nothing of it runs while Manim draws.
_FREE = _names(
    "__abstractmethods__ __annotations__ __annotate__ __annotate_func__ __annotations_cache__ __deepcopy__ __dict__ "
    "__doc__ __firstlineno__ __init__ __init_subclass__ __module__ __orig_bases__ __parameters__ __repr__ "
    "__static_attributes__ __str__ __weakref__ _abc_impl _original__init__ _override_animate add add_updater align_data "
    "align_points animation_overrides apply_function arrange become construct copy fade flip generate_points "
    "generate_target init_colors init_points interpolate interpolate_color match_style move_to next_to "
    "pointwise_become_partial remove reset_points resume_updating rotate scale set set_color set_fill set_opacity "
    "set_points set_stroke set_style shift stretch suspend_updating update"
)

# Attributes of instances that drawing reads. As attributes of a class they would be computed, or be Manim's no more.
_STATE = _names(
    "points rgbas fill_rgbas stroke_rgbas background_stroke_rgbas stroke_width background_stroke_width background_image "
    "joint_type cap_style shade_in_3d tolerance_for_point_equality n_points_per_cubic_curve z_index z_index_group "
    "sheen_direction submobjects pixel_array resampling_algorithm __dict__"
)
_METACLASSES = (type, ABCMeta, ConvertToOpenGL, type(Mobject), type(VMobject))


class Original:
    """What of Manim draws, remembered before the scene's own code is imported."""

    def __init__(self) -> None:
        families = [cls for base in (Mobject, Camera, CairoRenderer) for cls in _family(base)]
        self._classes = {
            cls: _contents(cls) for some in families for cls in some.__mro__ if cls is not object
        }
        modules = [sys.modules[name] for name in _MODULES if name in sys.modules]
        self._modules = [(module, _contents(module)) for module in modules]
        drawn = [cls for base in (VMobject, PMobject, AbstractImageMobject) for cls in _family(base)]
        self._methods = frozenset(
            name
            for cls in {Mobject, *drawn}
            if cls in self._classes
            for name, value in vars(cls).items()
            if isinstance(value, FunctionType) and name not in _FREE
        )

    def unchanged(self, renderer: Any) -> bool:
        """Whether Manim's functions, its camera's and its renderer's classes are as they were."""
        return (
            type(renderer) is CairoRenderer
            and vars(CairoRenderer).keys().isdisjoint(vars(renderer).keys() - {"camera"})
            and all(self._same(cls) for cls in (CairoRenderer, *type(renderer.camera).__mro__[:-1]))
            and all(_equal(module, contents) for module, contents in self._modules)
        )

    def knows(self, cls: type) -> bool:
        """Whether a class is Manim's."""
        return cls in self._classes

    def kind(self, cls: type) -> str:
        """What Manim draws of a class of mobjects; "" if that is not for Manim alone to say."""
        if (
            not issubclass(cls, Mobject)
            or type(cls) not in _METACLASSES
            or issubclass(cls, ImageMobjectFromCamera)
        ):
            return ""
        manims = [base for base in cls.__mro__ if base in self._classes]
        for base in cls.__mro__[:-1]:
            if base in self._classes:
                if not self._same(base):
                    return ""
                continue
            for name in vars(base).keys() - _FREE:
                if name in _STATE or any(name in vars(own) for own in (*manims, object)):
                    return ""
        if issubclass(cls, VMobject):
            return VECTORS
        if issubclass(cls, PMobject):
            return POINTS
        return PICTURE if issubclass(cls, AbstractImageMobject) else NOTHING

    def shadowed(self, attributes: dict[str, Any]) -> bool:
        """Whether an instance has a method of its own, among its attributes."""
        return not self._methods.isdisjoint(attributes)

    def _same(self, cls: type) -> bool:
        contents = self._classes.get(cls)
        return contents is not None and _equal(cls, contents)


def _family(cls: type) -> set[type]:
    found, todo = set(), [cls]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += type.__subclasses__(one)
    return found


def _contents(holder: type | ModuleType) -> dict[str, tuple[Any, Any]]:
    """What a class or a module holds, with the code of functions, which can be replaced as well."""
    return {
        name: (value, getattr(value, "__code__", None) if isinstance(value, FunctionType) else None)
        for name, value in vars(holder).items()
        if not _is_free(holder, name, value)
    }


def _is_free(holder: type | ModuleType, name: str, value: Any) -> bool:
    """Whether it may be another one: also what a module has made of its memory."""
    module = isinstance(holder, ModuleType)
    return name in _FREE or module and (name.startswith("__") or isinstance(value, np.ndarray))


def _equal(holder: type | ModuleType, contents: dict[str, tuple[Any, Any]]) -> bool:
    """Whether a class or a module holds what it did."""
    count = 0
    for name, value in vars(holder).items():
        if _is_free(holder, name, value):
            continue
        was = contents.get(name)
        if was is None or was[0] is not value or was[1] is not None and was[1] is not value.__code__:
            return False
        count += 1
    return count == len(contents)
