# SPDX-License-Identifier: MIT
"""Tells what a Python with Manim is made of, as one line of JSON.

Piped by the Go package `environment` into `python -I -`, in an empty folder and with a bare
environment, so that nothing but the machine and the installed files decides what is found.
"""

import importlib
import importlib.metadata
import json
import os
import platform
import re
import site
import sys
import traceback

# Distributions that draw, place or encode what is seen. Others of Manim's requirements
# (progress bars, window systems) cannot change a pixel.
DISTRIBUTIONS = [
    "manim",
    "numpy",
    "scipy",
    "av",
    "pillow",
    "pycairo",
    "manimpango",
    "skia-pathops",
    "mapbox-earcut",
    "isosurfaces",
    "svgelements",
    "networkx",
    "pygments",
    "beautifulsoup4",
]

# Loaded libraries that do the same. Bundled ones carry a content hash in their names.
LIBRARIES = re.compile(
    r"lib(av(codec|format|util|filter)|sw(scale|resample)|x264|x265|vpx|aom|SvtAv1Enc|cairo|pixman|pango"
    r"|harfbuzz|freetype|fontconfig|fribidi|graphite|png|jpeg|openjp2|tiff|webp|z-|\w*openblas)"
)


def distributions() -> dict[str, str]:
    """Versions of what draws, and of Manim plugins, by name."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for entry in importlib.metadata.entry_points(group="manim.plugins"):
        if entry.dist is not None:
            found["plugin " + entry.dist.name.lower()] = entry.dist.version
    return found


def packages() -> dict[str, str]:
    """Versions of what is installed beside Manim and all that it requires, by name."""
    required, queue = {"pip", "setuptools", "wheel"}, ["manim"]
    while queue:
        name = normal(queue.pop())
        if name in required:
            continue
        required.add(name)
        try:
            wants = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        queue += [re.match(r"[\w.-]+", want)[0] for want in wants if "extra ==" not in want]
    installed = {normal(d.name): d.version for d in importlib.metadata.distributions() if d.name}
    return {name: version for name, version in installed.items() if name not in required}


def normal(name: str) -> str:
    """The one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def loaded_libraries() -> list[str]:
    """Absolute paths of the shared libraries of this process; Linux only."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            fields = [line.rstrip("\n").split(None, 5) for line in maps]
    except OSError:
        return []
    paths = {f[5] for f in fields if len(f) == 6 and f[5].startswith("/")}
    return sorted(p for p in paths if re.match(r"lib.*\.so|ld-.*\.so", os.path.basename(p)))


def numpy_features() -> str:
    """The CPU features that numpy's own code selects its loops by."""
    for module in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            umath = importlib.import_module(module)
        except ImportError:
            continue
        has = umath.__cpu_features__
        return " ".join(f for f in [*umath.__cpu_baseline__, *umath.__cpu_dispatch__] if has.get(f))
    return "unknown"


def openblas_kernels(libraries: list[str]) -> str:
    """The CPU kernels that OpenBLAS selected, which decide how products are rounded."""
    import ctypes

    names = set()
    for path in libraries:
        if "openblas" not in os.path.basename(path):
            continue
        library = ctypes.CDLL(path)
        for symbol in ("openblas_get_corename64_", "openblas_get_corename"):
            for prefix in ("scipy_", ""):
                function = getattr(library, prefix + symbol, None)
                if function is not None:
                    function.restype = ctypes.c_char_p
                    names.add((function() or b"").decode())
    return " ".join(sorted(names))


def encoder() -> dict[str, str]:
    """x264's build, and the CPU features that it uses, from one encoded frame."""
    import io

    import av
    import av.logging

    av.logging.set_level(av.logging.INFO)
    target = io.BytesIO()
    with av.logging.Capture() as log, av.open(target, "w", format="h264") as out:
        stream = out.add_stream("libx264", rate=15, options={"threads": "1"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for frame in (av.VideoFrame(64, 64, "yuv420p"), None):
            for packet in stream.encode(frame):
                out.mux(packet)
    build = re.search(rb"x264 - core (\d+)", target.getvalue())
    used = [m[2].partition(":")[2].strip() for m in log if m[2].startswith("using cpu capabilities")]
    return {"x264": build[1].decode() if build else "unknown", "x264 cpu": " ".join(used)}


def images_work() -> bool:
    """Whether this Pillow still does what Manim's image mobjects ask of it."""
    import numpy
    from PIL import Image

    try:
        Image.fromarray(numpy.zeros((2, 2)), mode="RGBA")
    except (TypeError, ValueError):
        return False
    return True


def versions() -> dict[str, str]:
    """Versions of the libraries behind the bindings, as these report them."""
    import av
    import cairo
    import manimpango

    found = {"cairo": cairo.cairo_version_string(), "pango": manimpango.pango_version()}
    for name, version in av.library_versions.items():
        found[name] = ".".join(map(str, version))
    return found


def probe() -> dict[str, object]:
    paths = [p for p in sys.path if os.path.isdir(p)]
    result: dict[str, object] = {
        "implementation": sys.implementation.name,
        "version": platform.python_version(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "prefixes": [sys.prefix, sys.base_prefix],
        "paths": paths,
        "sites": [p for p in site.getsitepackages() if os.path.isdir(p)],
    }
    components = {
        "python": sys.implementation.name + " " + platform.python_version(),
        "platform": sys.platform + " " + platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip(),
    }
    components.update(distributions())
    result["packages"] = packages()
    result["components"] = components
    if "manim" not in components:
        return result
    step = "manim"
    try:
        importlib.import_module("manim")
        step = "versions"
        components.update(versions())
        step = "encoder"
        components.update(encoder())
        step = "fonts"
        import manimpango

        result["fonts"] = len(manimpango.list_fonts())
    except Exception as error:  # noqa: BLE001 - whatever an import raises is the finding
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(last.filename)}:{last.lineno}"
        result["broken"] = {"step": step, "error": f"{type(error).__name__}: {error} ({where})"}
        return result
    result["images"] = images_work()
    libraries = loaded_libraries()
    result["libraries"] = libraries
    components["numpy cpu"] = numpy_features()
    components["openblas cpu"] = openblas_kernels(libraries)
    names = {os.path.basename(p) for p in libraries}
    components["libraries"] = " ".join(sorted(n for n in names if LIBRARIES.match(n)))
    return result


if __name__ == "__main__":
    json.dump(probe(), sys.stdout)
