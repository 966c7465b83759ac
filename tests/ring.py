"""What the tests of ``mpi-ring`` and the ranks that they start both know: its cases and their inputs."""

from __future__ import annotations

import numpy as np

from collbench.devices.device import Values
from collbench.plan.dtypes import DTYPES

COUNTS = (1, 3, 4, 1003)
CASES = [
    (dtype, op, count) for dtype in ("float16", "bfloat16", "float32") for op in ("sum", "avg") for count in COUNTS
]


def inputs_of(dtype: str, count: int, ranks: int) -> Values:
    """Random data of shape (ranks, count), the same wherever it is asked for."""
    draw = np.random.default_rng([ranks, count])
    return draw.standard_normal((ranks, count)).astype(DTYPES[dtype].numpy)
