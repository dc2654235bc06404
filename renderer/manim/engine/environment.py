# SPDX-License-Identifier: MIT
"""What this environment is: everything in it that can change a pixel or a byte of a cell."""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import sys
from importlib import metadata

# Distributions whose code draws, computes or encodes.
_PACKAGES = (
    "manim",
    "av",
    "numpy",
    "pillow",
    "pycairo",
    "scipy",
    "networkx",
    "skia-pathops",
    "mapbox_earcut",
    "isosurfaces",
    "svgelements",
    "manimpango",
    "pygments",
    "decorator",
    "moderngl",
)


def describe() -> dict:
    """Import Manim and all it needs for a render, and tell what was found."""
    import av
    import cairo
    import manim
    import manim.__main__
    import numpy
    import tqdm
    from PIL import Image

    from . import packages, run, threads

    Image.init()
    tqdm.tqdm.monitor_interval = (
        0  # else every progress bar, shown or not, starts a thread, and threads forbid forks
    )
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    parts = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "system": platform.system(),
        "libc": " ".join(platform.libc_ver()),
        "cairo": cairo.cairo_version_string(),
        "libav": {name: list(version) for name, version in sorted(av.library_versions.items())},
        "cpu": _cpu_features(numpy),
        "packages": versions,
        "engine": _own_digest(),
    }
    packages.remember()
    gc.collect()
    gc.freeze()
    return {
        "python": platform.python_version(),
        "manim": manim.__version__,
        "av": av.__version__,
        "numpy": numpy.__version__,
        "pillow": versions.get("pillow", ""),
        "hash_seed": os.environ.get("PYTHONHASHSEED", ""),
        "prefixes": sorted({sys.prefix, sys.base_prefix, *(os.path.dirname(p) for p in sys.path if p)}),
        "threads": threads.count(),
        "spec": run.SPEC,
        "fingerprint": parts,
    }


def _cpu_features(numpy: object) -> list[str]:
    """The instruction sets that numpy picks its loops by: they can change the last bit of a result."""
    for path in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        module = sys.modules.get(path)
        if module is not None and hasattr(module, "__cpu_features__"):
            return sorted(name for name, has in module.__cpu_features__.items() if has)
    return []


def _own_digest() -> str:
    """The engine's own code is part of what makes the pictures."""
    digest = hashlib.sha256()
    folder = os.path.dirname(os.path.abspath(__file__))
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), "rb") as file:
                digest.update(name.encode() + b"\0" + file.read() + b"\0")
    return digest.hexdigest()
