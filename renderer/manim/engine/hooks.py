# SPDX-License-Identifier: MIT
"""The hooks in Manim: beneath CairoRenderer.play, which stays as it is.

Hashing, skipping, sections and numbering therefore stay Manim's. Nothing is stored on scenes, renderers, cameras or
writers: Manim hashes what they hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from manim import config
from manim.renderer.cairo_renderer import CairoRenderer
from manim.scene.scene_file_writer import SceneFileWriter

from . import drawing, features, grid, outlines
from .walker import Walker

_play = CairoRenderer.play
_update_frame = CairoRenderer.update_frame
_save_static = CairoRenderer.save_static_frame_data
_get_frame = CairoRenderer.get_frame
_update_skipping_status = CairoRenderer.update_skipping_status
_add_partial_movie_file = SceneFileWriter.add_partial_movie_file
_is_already_cached = SceneFileWriter.is_already_cached
original_scene_finished = CairoRenderer.scene_finished


class Guide:
    """What a walk does besides walking; a worker's does nothing."""

    def settings_known(self) -> None:
        """The first play begins: the walker knows what is to be written, and how."""

    def is_cached(self, writer: Any, key: str, exists: bool) -> bool:
        """Whether the play about to begin need not be drawn; it is stepped through in any case."""
        return False

    def play_ended(self, scene: Any) -> None:
        """A play is over."""

    def scene_ended(self, renderer: Any, scene: Any) -> None:
        """In place of CairoRenderer.scene_finished."""


def watch(walker: Walker, guide: Guide) -> None:
    """Let Manim draw and encode by itself, as if nobody had come between; only tell of each play, and of the end."""

    def play(self: CairoRenderer, scene: Any, *args: Any, **kwargs: Any) -> None:
        start = self.time
        _play(self, scene, *args, **kwargs)
        walker.fps = float(config["frame_rate"])
        walker.play_first = walker.frame
        walker.plays.append(grid.Play(round((self.time - start) * walker.fps), False))
        walker.frame += walker.plays[-1].frames
        guide.play_ended(scene)

    def scene_finished(self: CairoRenderer, scene: Any) -> None:
        guide.scene_ended(self, scene)

    CairoRenderer.play = play
    CairoRenderer.scene_finished = scene_finished


def install(walker: Walker, guide: Guide) -> None:
    """Let the walker lead Manim's cairo renderer."""
    cached = False  # the play about to begin

    def pixels_of(renderer: CairoRenderer) -> Any:
        return renderer.camera.__dict__["pixel_array"]

    def draw(renderer: CairoRenderer, scene: Any, mobjects: Any, wanted: bool) -> None:
        if wanted:
            walker.at_drawing = True
            with walker.meter.rastering():
                _update_frame(renderer, scene, mobjects)
            walker.at_drawing = False
            drawing.drew(renderer.camera)
        else:
            with drawing.hold():
                _update_frame(renderer, scene, mobjects)

    def update_skipping_status(self: CairoRenderer) -> None:
        # Plays before -n A are gone through like any other: skipped ones would leave updaters elsewhere.
        first = config.from_animation_number
        config._d["from_animation_number"] = 0
        try:
            _update_skipping_status(self)
        finally:
            config._d["from_animation_number"] = first
        walker.passing = self.num_plays < first and not self.skip_animations

    def add_partial_movie_file(self: SceneFileWriter, key: str | None) -> None:
        _add_partial_movie_file(self, None if walker.passing else key)

    def is_already_cached(self: SceneFileWriter, key: str) -> bool:
        nonlocal cached
        cached = not walker.passing and guide.is_cached(self, key, _is_already_cached(self, key))
        return False  # Manim would step a cached play as one frame: other updaters' states, another time

    def begin_animation(self: SceneFileWriter, allow_write: bool = False, *args: Any, **kwargs: Any) -> None:
        nonlocal cached
        if not walker.kind:
            # Only now: the script may have changed the configuration when it was imported.
            walker.kind, walker.encoder = features.output_kind(self), features.encoder_of(self)
            walker.fps = float(config["frame_rate"])
            guide.settings_known()
        walker.begin_play(allow_write and not walker.passing, cached)
        cached = False

    def save_static_frame_data(self: CairoRenderer, scene: Any, static_mobjects: Any) -> Any:
        walker.scene = scene
        frozen = scene.is_current_animation_frozen_frame()
        walker.enter_play(frozen, *_steps(self, scene, frozen))
        if walker.contents is None or not walker.play_counts:
            return static_image(self, scene, static_mobjects)
        walker.contents.begin(self)
        image = static_image(self, scene, static_mobjects)
        walker.contents.still(self)
        return image

    def static_image(self: CairoRenderer, scene: Any, static_mobjects: Any) -> Any:
        if walker.needs_pixels:
            walker.at_drawing = True
            with walker.meter.rastering():
                image = _save_static(self, scene, static_mobjects)
            walker.at_drawing = False
            return image
        self.static_image = None
        if static_mobjects:
            draw(self, scene, static_mobjects, False)
            self.static_image = pixels_of(self)  # not a picture: only for the choice that update_frame makes
        return self.static_image

    def update_frame(
        self: CairoRenderer, scene: Any, mobjects: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        # Manim itself comes here only for frozen plays; else it is the scene that wants to see itself.
        if walker.in_play and walker.play_frozen and scene.is_current_animation_frozen_frame():
            draw(self, scene, mobjects, walker.needs_pixels)
            if walker.contents is not None:
                walker.contents.frame(self)
            return
        if self.static_image is not None and self.static_image is pixels_of(self):
            walker.restart_drawing()
        _update_frame(self, scene, mobjects, *args, **kwargs)
        drawing.drew(self.camera)

    def freeze_current_frame(self: CairoRenderer, duration: float) -> None:
        if self.skip_animations:
            return
        dt = 1 / self.camera.frame_rate
        n = int(duration / dt)
        walker.frozen_frames(n, pixels_of(self) if walker.needs_pixels else None)
        self.time += n * dt

    def render(self: CairoRenderer, scene: Any, time: float, moving_mobjects: Any = None) -> None:
        wanted = walker.next_frame()
        draw(self, scene, moving_mobjects, wanted)
        if walker.contents is not None:
            walker.contents.frame(self)
        if self.skip_animations:
            return
        walker.frame_done(pixels_of(self) if wanted else None)
        self.time += 1 / self.camera.frame_rate

    def end_animation(self: SceneFileWriter, *args: Any, **kwargs: Any) -> None:
        walker.end_play()
        guide.play_ended(walker.scene)

    def get_frame(self: CairoRenderer) -> Any:
        if drawing.is_stale(self.camera):
            walker.restart_drawing()
        return _get_frame(self)

    def scene_finished(self: CairoRenderer, scene: Any) -> None:
        guide.scene_ended(self, scene)

    CairoRenderer.update_skipping_status = update_skipping_status
    CairoRenderer.save_static_frame_data = save_static_frame_data
    CairoRenderer.update_frame = update_frame
    CairoRenderer.freeze_current_frame = freeze_current_frame
    CairoRenderer.render = render
    CairoRenderer.get_frame = get_frame
    CairoRenderer.scene_finished = scene_finished
    SceneFileWriter.add_partial_movie_file = add_partial_movie_file
    SceneFileWriter.is_already_cached = is_already_cached
    SceneFileWriter.begin_animation = begin_animation
    SceneFileWriter.end_animation = end_animation
    drawing.install(walker.restart_drawing)
    outlines.install(walker)


def _steps(renderer: CairoRenderer, scene: Any, frozen: bool) -> tuple[int, bool]:
    """How many frames the play that has begun will have, in Manim's own arithmetic, and whether it cannot end early."""
    if frozen:
        return int(scene.duration / (1 / renderer.camera.frame_rate)), True
    if renderer.skip_animations:
        return 1, True
    step = 1 / config["frame_rate"]
    duration = max(max(animation.run_time for animation in scene.animations), step)
    return len(np.arange(0, duration, step)), scene.stop_condition is None
