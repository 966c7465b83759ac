"""A gate and launches of both of its sides, for tests of the check."""

from __future__ import annotations

import numpy as np
from samples import timed

from collbench.check.gate import Gate
from collbench.check.rule import rule_of
from collbench.results.records import Record

SIZES = (4096, 8192, 16384)
GATE = Gate("old", "new", rule_of(cap=20))


def launches(
    number: int, factors: tuple[float, ...] = (1.0, 1.0, 1.0), noise: float = 0.001, **changes: object
) -> list[Record]:
    """Rows of both sides in so many launches; the candidate takes ``factors`` times as long, size by size."""
    draw = np.random.default_rng(1)
    return [
        timed(
            10 * factor * float(np.exp(noise * draw.standard_normal())),
            launch=launch,
            backend=name,
            bytes=size,
            **changes,
        )
        for launch in range(number)
        for size, change in zip(SIZES, factors, strict=True)
        for name, factor in (("old", 1.0), ("new", change))
    ]
