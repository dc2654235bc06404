#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`manim`, of the interpreter that runs this, with --seed also where Manim has no such option.

There, a scene starts from whatever state the generators are in, so seeding them before anything else is what a user can
do who wants the same film again. Nothing of Manim is changed.
"""

from __future__ import annotations

import random
import sys

import numpy as np
from manim.__main__ import main
from manim.cli.render import commands

args = sys.argv[1:]
if "--seed" in args and all(parameter.name != "seed" for parameter in commands.render.params):
    at = args.index("--seed")
    seed = int(args[at + 1])
    del args[at : at + 2]
    random.seed(seed)
    np.random.seed(seed)
sys.argv = ["manim", *args]
main(args, prog_name="manim")
