# SPDX-License-Identifier: MIT
"""What a film has besides frames: sections, sounds, subtitles; and several scenes in one file.

All plays last a whole number of milliseconds: what libav rounds else depends on how many cores encode.
"""

import manim as mn


class Chapters(mn.Scene):
    """Sections, one of them skipped; sounds; subtitles."""

    def construct(self) -> None:
        self.next_section("opening")
        self.add_sound("assets/tone.wav")
        square = mn.Square(color=mn.BLUE)
        self.play(mn.Create(square), run_time=0.8, subcaption="a square")
        self.add_sound("assets/tone.wav", time_offset=0.2, gain=-6)
        self.wait(0.6)
        self.next_section("left out", skip_animations=True)
        self.play(square.animate.shift(mn.UP), run_time=0.6)
        self.next_section("zwei ü")
        self.add_subcaption("it turns", duration=0.4)
        self.play(mn.Rotate(square, 1), run_time=1)
        self.play(mn.FadeOut(square), run_time=0.4)


class Second(mn.Scene):
    """Another one."""

    def construct(self) -> None:
        self.play(mn.GrowFromCenter(mn.Triangle()), run_time=0.6)


class Third(mn.Scene):
    """A picture."""

    def construct(self) -> None:
        self.add(mn.Circle(fill_opacity=0.5))
