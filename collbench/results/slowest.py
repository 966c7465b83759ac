"""Which rank of a case is the slowest, from the times of all ranks: a finding only where it is no chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collbench.results.statistics import beats_chance


@dataclass(frozen=True)
class Slowest:
    """The rank of the world that took longest in the fraction ``share`` of the samples, in the median over samples
    ``ratio`` times as long as the median of the others."""

    rank: int
    share: float
    ratio: float


def slowest_of(times: NDArray[np.float64]) -> Slowest | None:
    """The slowest rank of ``times``, an array of samples by ranks; None where no rank took longest more often than
    chance allows if all are alike. A sample in which several ranks took equally long counts for none of them."""
    samples, ranks = times.shape if times.ndim == 2 else (0, 0)
    if not samples or ranks < 2:
        return None
    longest = times == times.max(axis=1, keepdims=True)
    counts = longest[longest.sum(axis=1) == 1].sum(axis=0)
    rank = int(counts.argmax())
    if not beats_chance(int(counts[rank]), samples, ranks):
        return None
    others = np.median(np.delete(times, rank, axis=1), axis=1)
    return Slowest(rank, float(counts[rank]) / samples, float(np.median(times[:, rank] / others)))
