# SPDX-License-Identifier: MIT
"""A narrated scene, for the plugin manim-voiceover. The voice is a program of this computer; only the user may speak."""

import os
import subprocess
from pathlib import Path

import manim as mn
from manim_voiceover import VoiceoverScene
from manim_voiceover.services.base import SpeechService


class Espeak(SpeechService):
    def generate_from_text(self, text, cache_dir=None, path=None, **kwargs):
        folder = Path(cache_dir or self.cache_dir)
        data = {"input_text": text, "service": "espeak"}
        cached = self.get_cached_result(data, folder)
        if cached is not None:
            return cached
        if "MAY_SPEAK" not in os.environ:
            raise RuntimeError("speech is made again where the scene is only rendered")
        spoken, name = folder / "spoken.wav", self.get_audio_basename(data) + ".mp3"
        subprocess.run(["espeak-ng", "-w", spoken, text], check=True)
        subprocess.run(["sox", spoken, folder / name], check=True)
        spoken.unlink()
        return {"input_text": text, "input_data": data, "original_audio": name}


class Speech(VoiceoverScene):
    def construct(self) -> None:
        self.set_speech_service(Espeak())
        circle = mn.Circle()
        with self.voiceover(text="This circle is drawn as I speak.") as tracker:
            self.play(mn.Create(circle), run_time=tracker.duration)
        with self.voiceover(text="Now it moves to the right, and waits."):
            self.play(circle.animate.shift(mn.RIGHT))
        self.wait(0.4)
