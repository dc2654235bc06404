# SPDX-License-Identifier: MIT
"""Writes the files that the film opens, other ones for another number."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

here, number = Path(__file__).parent, int(sys.argv[1])
Image.new("RGB", (16, 9), (255, 40 * number, 0)).save(here / "picture.png")
Image.new("RGB", (32, 32), (0, 60 * number, 255)).save(here / "ground.png")
np.save(here / "data.npy", np.array([[x, number / 4, 0.0] for x in (-2.0, 0.0, 2.0)]))
