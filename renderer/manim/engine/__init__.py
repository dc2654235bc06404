# SPDX-License-Identifier: MIT
"""The Manim engine of meshnode: plans a scene, renders any of its cells, and assembles the film.

One process tree per job. The hub (hub.py) is the process that was started: it imports Manim, speaks the protocol of
docs/engine.md on its standard input and output, and never runs user code. Walkers (walker.py) are forks of it that run
the scene; they step it frame by frame through Manim's own code and draw only the frames of the cells they were told to.
"""

VERSION = 1  # of the protocol; docs/engine.md
NEVER = (
    1 << 62
) - 1  # the frame at which a walker stands that only checks: before the end of time, after every scene
PLAN_DIGESTS = ".digests"  # file of the leader, for the hub's other walkers
