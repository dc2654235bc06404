#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`manim`, of the interpreter that runs this, told in the words of the newest Manim, for comparisons.

Where there is no --seed, a scene starts from whatever state the generators are in: seeding them before anything else is
what a user can do who wants the same film again. Nothing of Manim is changed.
"""

from __future__ import annotations

import random
import sys

import numpy as np
from manim.__main__ import main
from manim.cli.render import commands

options = {parameter.name: parameter for parameter in commands.render.params}
args = sys.argv[1:]
if "--seed" in args and "seed" not in options:
    at = args.index("--seed")
    seed = int(args[at + 1])
    del args[at : at + 2]
    random.seed(seed)
    np.random.seed(seed)
if "png-sequence" not in options["format"].type.choices:
    args = ["png" if arg == "png-sequence" else arg for arg in args]
sys.argv = ["manim", *args]
main(args, prog_name="manim")
