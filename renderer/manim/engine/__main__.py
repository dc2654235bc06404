# SPDX-License-Identifier: MIT
"""Entry point: `python -s engine/__main__.py`, with PYTHONHASHSEED set."""

import importlib.util
import os
import sys

# BLAS reads these once, when numpy is imported: threads would make forks unsafe, and N renderers slow each other.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[name] = "1"

# The package goes by a name no user's module has, and its folder leaves sys.path: `import trace` stays Python's own.
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.curdir) != _here]
_spec = importlib.util.spec_from_file_location(
    "meshnode_engine", os.path.join(_here, "__init__.py"), submodule_search_locations=[_here]
)
sys.modules["meshnode_engine"] = _package = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_package)

from meshnode_engine import fresh, hub

sys.exit(fresh.main(*sys.argv[2:]) if sys.argv[1:2] == [fresh.OPTION] else hub.main())
