"""Speed-up of a step where only its communication becomes faster (Amdahl 1967)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

from collbench.fit.estimate import Estimate
from collbench.predict.outcome import Range, Time

# Of arXiv 2511.09557 (abstract): of one all-reduce of 128 KB to 2 MB, and of a batch of Llama 3.1 405B.
LEAST, MOST = 1.9, 3.6
WHOLE = 1.72
SIZES = (128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20)
CLAIMS: Mapping[float, str] = MappingProxyType({LEAST: "1.9×", 3.0: "3×", MOST: "3.6×"})


def step_speedup(share: float, faster: float) -> float:
    """The speed-up of a step of which communication has the ``share`` f and becomes ``faster`` by the factor s:
    1 / (1 - f + f / s)."""
    return 1 / (1 - share + share / faster)


def needed_share(speedup: float, faster: float) -> float | None:
    """The share of communication with which a step becomes faster by ``speedup`` where communication does by
    ``faster``; None where no share is enough."""
    share = (1 - 1 / speedup) / (1 - 1 / faster) if faster > 1 else 2.0
    return share if share <= 1 else None


def speedup_of(base: Time, other: Time) -> Range:
    """How many times as fast ``other`` is as ``base``, with the range that both leave it. Both compute the same."""
    parts = product(_ends(base.communication), _ends(other.communication), _ends(base.compute))
    ratios = [(sent + done) / (less + done) for sent, less, done in parts if less + done]
    whole = other.whole.us
    return Range(base.whole.us / whole if whole else 1.0, min(ratios, default=1.0), max(ratios, default=1.0))


def _ends(each: Estimate) -> tuple[float, float]:
    return each.low, each.high
