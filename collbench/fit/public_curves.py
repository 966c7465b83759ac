"""NCCL's all-reduce on Slingshot-11 as others measured it: 2 nodes of 4 GH200, nccl-tests, eager, out of place.

Sources: sarus-suite/containerfiles-ci, hpc/benchmarks/nccl-tests/README.md, and eth-cscs/cscs-docs,
docs/software/communication/nccl.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

K = 1 << 10
SIZES = (8, 4 * K, 32 * K, 64 * K, 128 * K, 256 * K, 512 * K, K * K, 2 * K * K, 4 * K * K, 8 * K * K)
CURVES = (
    (18.7, 34.4, 40.4, 65.5, 80.5, 123, 123, 137, 182, 295, 341),
    (17.9, 32.0, 39.6, 61.0, 81.4, 127, 170, 164, 182, 293, 345),
)  # microseconds
WORLD = (8, 2)  # ranks, nodes
APART = 1.2  # each curve lies within this factor of their mean


def points() -> Iterator[tuple[int, float]]:
    """Size and microseconds of every point of both curves."""
    for curve in CURVES:
        yield from zip(SIZES, curve, strict=True)


def us(size: int) -> float:
    """The geometric mean of both curves, on the line between two sizes in logarithms, and of the last size beyond it
    in proportion; microseconds."""
    import numpy as np

    means = np.log(np.array(CURVES)).mean(axis=0)
    beyond = max(0.0, math.log(size / SIZES[-1]))
    return float(np.exp(np.interp(math.log(size), np.log(SIZES), means) + beyond))
