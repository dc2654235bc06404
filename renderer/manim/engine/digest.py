# SPDX-License-Identifier: MIT
"""State digests: is this walk of the scene the walk that the plan was made from?

A walk takes a digest of what the scene shows at set places (walker.py): by class of mobject, so that a difference has a
name, and of nothing that drawing, lazy attributes or addresses could change.

Two comparisons, for machines that agree to the last bit and for others. Exact: checksums of the arrays' bytes. Near:
points and colours to NEAR. Rounding before hashing would not do: among a million values some lie at a rounding boundary,
where the last bit decides. So each class also has sums of its values. Two have weights that look random: if n values are
off by at most NEAR, such a sum is off by NEAR * sqrt(n) or so, and one value that is off by much more shows. A plain sum
shows a common shift, in which random weights might cancel out.
"""

from __future__ import annotations

import json
import zlib
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from manim import ManimColor
from manim.mobject.mobject import Mobject
from manim.mobject.types.image_mobject import ImageMobjectFromCamera

NAME = "digests"  # of the file in a job's set
NEAR = 1e-6  # units of the scene; for colours, of their range
NEAR_PICTURE = 1.0  # levels of 256, on average
LIMIT = 64 << 20  # characters of all digests of a scene; what comes after is not compared

_DEVIATIONS = 6  # of a weighted sum: chance alone comes so far once in 500 million
_CLASSES = 64  # told apart; the others are counted together
_STYLES = ("rgbas", "fill_rgbas", "stroke_rgbas", "background_stroke_rgbas")
_NUMBERS = ("stroke_width", "background_stroke_width", "sheen_factor", "z_index")
_CAMERA = ("frame_width", "frame_height", "_background_opacity", "focal_distance")
_BLOCK = 1 << 14
_RANDOM = np.random.RandomState(1)  # of this generator the stream never changes
_WEIGHTS = np.concatenate([_RANDOM.uniform(-1, 1, (2, _BLOCK)), np.ones((1, _BLOCK))])

CAMERA, SCENE, OTHERS = "the camera", "the scene", "other mobjects"  # beside the names of classes

# Of a class: how many mobjects; a checksum of the lengths of their arrays; of points and of styles each how many values,
# a checksum and three sums; of pictures a checksum and the sum of their mean levels. Of SCENE: checksums of order and time.
State = dict[str, list]

# The pictures of the last digest, by id, with checksums of a part and of the whole.
_pictures: dict[int, tuple[np.ndarray, int, int]] = {}


def take(scene: Any) -> State:
    """The digest of what a scene shows now. None of its own code runs: attributes are looked up in the instances.

    A scene that holds what no digest can be taken of is no error: it is compared by that.
    """
    try:
        return _take(scene)
    except Exception as error:  # noqa: BLE001 - scenes put anything anywhere
        return {SCENE: [type(error).__name__, ""]}


def _take(scene: Any) -> State:
    classes: dict[str, list[dict[str, Any]]] = {}
    order: list[str] = []

    def visit(roots: Any, name: str = "") -> None:
        stack = list(reversed(roots))
        while stack:
            mobject = stack.pop()
            if not isinstance(mobject, Mobject):
                continue
            values = mobject.__dict__
            cls = name or type(mobject).__name__
            if cls not in classes and len(classes) >= _CLASSES:
                cls = OTHERS
            below = values.get("submobjects")
            below = below if isinstance(below, (list, tuple)) else ()
            if isinstance(mobject, ImageMobjectFromCamera):
                see(values.get("camera"))
                values = {**values, "pixel_array": None}  # drawn, or not
            classes.setdefault(cls, []).append(values)
            order.append(f"{cls} {len(below)}")
            stack.extend(reversed(below))

    def see(camera: Any) -> None:
        values = getattr(camera, "__dict__", {})
        visit([values[key] for key in sorted(values) if isinstance(values[key], Mobject)], CAMERA)
        numbers = [values.get(key, 0) for key in _CAMERA]
        if "_background_color" in values:
            numbers += ManimColor(values["_background_color"]).to_rgba().tolist()
        classes.setdefault(CAMERA, []).append({"points": _plain(numbers)})

    global _pictures
    before, _pictures = _pictures, {}
    visit(scene.mobjects)
    see(scene.renderer.camera)
    state = {name: _told(mobjects, before) for name, mobjects in classes.items()}
    order.append(str(len(scene.foreground_mobjects)))
    state[SCENE] = [
        zlib.crc32("\n".join(order).encode()),
        zlib.crc32(repr(float(scene.renderer.time)).encode()),
    ]
    return state


def _told(mobjects: list[dict[str, Any]], before: dict) -> list:
    """What is told of the mobjects of a class, given their attributes, and the pictures of the last digest."""
    lengths: list[int] = []
    points = _values([m.get("points") for m in mobjects], lengths)
    arrays = [_values([m.get(key) for m in mobjects], lengths) for key in _STYLES]
    styles = _joined([*arrays, *(_plain([m.get(key) for m in mobjects]) for key in _NUMBERS)])
    pictures, level = 0, 0.0
    for picture in (m["pixel_array"] for m in mobjects if isinstance(m.get("pixel_array"), np.ndarray)):
        if picture.dtype == np.uint8:
            lengths += picture.shape
            part = np.ascontiguousarray(picture[:: 1 + len(picture) // 32])
            pictures = zlib.crc32(_picture(picture, part, before).to_bytes(4, "big"), pictures)
            level += float(part[:, ::16].mean()) if part.size else 0.0
    sizes = zlib.crc32(np.array(lengths, np.int64))
    return [len(mobjects), sizes, *_summary(points), *_summary(styles), pictures, round(level, 4)]


def _picture(picture: np.ndarray, part: np.ndarray, before: dict) -> int:
    """The checksum of a picture. Of an array that was there before, a part tells whether it has changed."""
    seen = zlib.crc32(part)
    known = before.get(id(picture))
    same = known is not None and known[0] is picture and known[1] == seen
    whole = known[2] if same else zlib.crc32(np.ascontiguousarray(picture))
    _pictures[id(picture)] = (picture, seen, whole)
    return whole


def _values(arrays: list[Any], lengths: list[int]) -> np.ndarray:
    """The values of arrays, end to end. Scenes put anything anywhere: what is not an array of numbers is left out."""
    if isinstance(arrays[0], np.ndarray):
        try:
            out = np.concatenate(arrays)
            if out.dtype == float:
                lengths += map(len, arrays)
                return out.ravel()
        except (TypeError, ValueError):
            pass
    arrays = [a for a in arrays if isinstance(a, np.ndarray) and a.dtype.kind in "fiub"]
    lengths += [a.size for a in arrays]
    return _joined([a.ravel() for a in arrays])


def _plain(values: list[Any]) -> np.ndarray:
    """Values that should be numbers; 0 for those that are not."""
    return np.array([v if isinstance(v, (float, int)) else 0 for v in values], float)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *arrays], dtype=float, casting="unsafe")


def _summary(values: np.ndarray) -> list:
    """How many there are, a checksum, the sums."""
    checksum = zlib.crc32(values)
    if not np.isfinite(values).all():
        values = np.nan_to_num(values, nan=0.5, posinf=1.5, neginf=-1.5)
    sums = np.zeros(3)
    for row, at in enumerate(range(0, len(values), _BLOCK)):
        block = values[at : at + _BLOCK]
        factor = 1 + _WEIGHTS[0, row % _BLOCK] / 2  # blocks that change places show, too
        sums += (_WEIGHTS[:, : len(block)] @ block) * (factor, factor, 1)
    return [len(values), checksum, *(round(float(total), 9) for total in sums)]


def name_of(scene: Any) -> str:
    """What Manim's progress bar would say of the current play."""
    animations = scene.animations or []
    if not animations:
        return ""
    return str(animations[0])[:100] + (", etc." if len(animations) > 1 else "")


def difference(planned: State, here: State, exact: bool) -> str:
    """What two digests differ in, for people; "" if nothing. Not exact: by more than NEAR."""
    out = []
    for name in dict.fromkeys([*here, *planned]):
        was, now = planned.get(name), here.get(name)
        if was == now or name == SCENE:
            continue
        if was is None or now is None or was[0] != now[0]:
            out.append(f"{now[0] if now else 0} {name} here, {was[0] if was else 0} in the plan")
        elif was[1] != now[1]:
            out.append(f"{name} with other numbers of points")
        else:
            out += _differing(name, was, now, exact)
    if not out and SCENE in planned and planned[SCENE][0] != here[SCENE][0]:
        out.append("another order of the mobjects")
    if not out and planned.get(SCENE) != here[SCENE]:
        out.append("another time of the scene")
    return "; ".join(out[:3]) + (f"; and {len(out) - 3} more" if len(out) > 3 else "")


def _differing(name: str, was: list, now: list, exact: bool) -> list[str]:
    of = name if name == CAMERA else f"{now[0]} {name}"
    parts = []
    for what, at in (("points", 2), ("colours or strokes", 7)):
        allowed = [NEAR * _DEVIATIONS * sqrt(now[at])] * 2 + [NEAR * now[at]]
        near = all(abs(was[at + 2 + i] - now[at + 2 + i]) <= allowed[i] for i in range(3))
        if not near:
            parts.append(f"other {what} of {of}")
        elif exact and was[at + 1] != now[at + 1]:
            parts.append(f"other last digits of the {what} of {of}")
    if was[12] != now[12] and (exact or abs(was[13] - now[13]) > NEAR_PICTURE * now[0]):
        parts.append(f"other pictures in {of}")
    return parts


class Samples:
    """The digests that one walk has taken: they are recorded, or compared with those of a plan."""

    def __init__(self) -> None:
        self.count = 0
        self._state: State = {}
        self._lines: list[str] = []  # each has what changed since the one before
        self._size = 0
        self._mark = 0
        self._plan: list[str] | None = None
        self._planned: State = {}
        self._exact = True

    def note(self, play: int, frame: int, state: State) -> str:
        """Take in the digest at a place; what differs from the plan, if one is followed."""
        at, self.count = self.count, self.count + 1
        if self._plan is None:
            changed = {name: told for name, told in state.items() if self._state.get(name) != told}
            changed.update(dict.fromkeys(self._state.keys() - state.keys()))
            self._state = state
            line = json.dumps([play, frame, changed], separators=(",", ":"))
            self._size += len(line)
            if self._size <= LIMIT and len(self._lines) == at:
                self._lines.append(line)
            return ""
        if at >= len(self._plan):
            return ""
        planned_play, planned_frame = self._advance(at)
        if (planned_play, planned_frame) != (play, frame):
            return f"the plan is at play {planned_play}, frame {planned_frame}"
        return difference(self._planned, state, self._exact)

    def _advance(self, at: int) -> tuple[int, int]:
        play, frame, changed = json.loads(self._plan[at])
        for name, told in changed.items():
            if told is None:
                self._planned.pop(name, None)
            else:
                self._planned[name] = told
        return play, frame

    @property
    def follows(self) -> bool:
        """Whether there is a plan to compare with."""
        return self._plan is not None

    def follow(self, path: Path, exact: bool) -> None:
        """Compare with the plan that was saved there, from here on."""
        self._plan, self._planned, self._exact, self._lines = load(path), {}, exact, []
        for at in range(min(self.count, len(self._plan))):
            self._advance(at)

    def save(self, path: Path) -> None:
        path.write_bytes(zlib.compress("\n".join(self._lines).encode()))

    def mark(self) -> None:
        """This walk goes its own way from here."""
        self._mark = self.count

    def own(self) -> list[int] | None:
        """What was recorded since the mark: the first, the end, and a checksum; None when a plan is followed."""
        if self._plan is not None:
            return None
        return [self._mark, self.count, _checksum(self._lines[self._mark : self.count])]


def load(path: Path) -> list[str]:
    """The saved digests of a plan."""
    text = zlib.decompressobj().decompress(path.read_bytes(), 2 * LIMIT).decode()
    return text.split("\n") if text else []


def agrees(plan: list[str], own: list[int]) -> bool:
    """Whether a fork of the walk that made the plan has gone on like it: own is of Samples.own."""
    first, end, checksum = own
    return _checksum(plan[first:end]) == checksum


def _checksum(lines: list[str]) -> int:
    return zlib.crc32("\n".join(lines).encode())
