"""Micro-benchmarks for collectives on GPU clusters: latency, bandwidth, correctness and comparisons.

``read``, ``compare`` and ``plot`` are for notebooks and scripts: results as pandas DataFrames and matplotlib figures.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collbench.errors import UsageError
    from collbench.results.frames import read
    from collbench.views.frames import compare, plot

    __version__: str

__all__ = ["UsageError", "__version__", "compare", "plot", "read"]
# Imported on first use: the command line and the ranks of a sweep need neither pandas nor matplotlib.
_HOMES = {
    "UsageError": "collbench.errors",
    "compare": "collbench.views.frames",
    "plot": "collbench.views.frames",
    "read": "collbench.results.frames",
}


if not TYPE_CHECKING:  # type checkers see the imports above, and reject other names

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return importlib.import_module("collbench.host.version").version()
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return __all__
