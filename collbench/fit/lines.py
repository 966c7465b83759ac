"""The model of a latency: base, and the quickest of an algorithm's ways over the links, each a line in the size.

    latency = base + min over algorithms of the sum over levels of (steps * alpha + bytes / beta)

with one alpha and beta for each level of links, or with two of both, as of two protocols: the message then takes the
quicker, or, where a larger message outgrows a cache, the slower. Constants are positive; their logarithms are fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BASE = 0
PER_LINE = 4  # alpha and the time of a byte inside a node, then between nodes; all in microseconds


@dataclass(frozen=True)
class Shape:
    """One or two lines (``count``); of two, the message takes the slower if ``slower``, else the quicker."""

    count: int
    slower: bool = False

    @property
    def constants(self) -> int:
        """How many constants there are."""
        return 1 + PER_LINE * self.count

    def slots(self, line: int) -> slice:
        """Where the constants of a line are."""
        return slice(1 + PER_LINE * line, 1 + PER_LINE * (line + 1))

    def __str__(self) -> str:
        return ("one line", "the slower of two lines" if self.slower else "the quicker of two lines")[self.count - 1]


ONE, QUICKER, SLOWER = Shape(1), Shape(2), Shape(2, slower=True)


def evaluate(ways: Floats, shape: Shape, constants: Floats) -> tuple[Floats, Floats]:
    """Latencies (shape: sets, cases) and the gradient of their logarithms (sets, cases, constants).

    ``ways`` (cases, algorithms, PER_LINE) are steps and bytes, ``constants`` (sets, shape.constants) logarithms."""
    plain = np.exp(constants)
    cases = np.arange(ways.shape[0])[None, :]
    taken, times = [], []
    for line in range(shape.count):
        each = np.einsum("caf,sf->sca", ways, plain[:, shape.slots(line)])
        best = each.argmin(axis=2)
        taken.append(ways[cases, best])
        times.append(np.take_along_axis(each, best[:, :, None], axis=2)[:, :, 0])
    both = np.stack(times, axis=2)
    line_taken = both.argmax(axis=2) if shape.slower else both.argmin(axis=2)
    values = plain[:, BASE, None] + np.take_along_axis(both, line_taken[:, :, None], axis=2)[:, :, 0]
    gradient = np.zeros((*values.shape, shape.constants))
    gradient[:, :, BASE] = plain[:, BASE, None] / values
    for line in range(shape.count):
        share = taken[line] * plain[:, None, shape.slots(line)] / values[:, :, None]
        gradient[:, :, shape.slots(line)] = share * (line_taken == line)[:, :, None]
    return values, gradient


def unknowns(ways: Floats, shape: Shape) -> tuple[int, bool]:
    """How many constants measurements with these ways can tell apart, and whether base is one of them. Ways that take
    no fewer steps or bytes than another of the same case are never the quickest, and say nothing."""
    rows = ways[_undominated(ways)]
    scale = np.maximum(np.abs(rows).max(axis=0), 1e-300)
    alone = int(np.linalg.matrix_rank(rows / scale, tol=1e-6))
    with_base = int(np.linalg.matrix_rank(np.column_stack([rows / scale, np.ones(len(rows))]), tol=1e-6))
    return with_base + (shape.count - 1) * alone, with_base > alone


def _undominated(ways: Floats) -> NDArray[np.bool_]:
    """Which of the algorithms of each case is better than all others in something, or the first of equals."""
    count = ways.shape[1]
    first = np.tri(count, k=-1, dtype=np.bool_).T  # [other, one]: whether the other comes before the one
    no_worse = (ways[:, :, None, :] <= ways[:, None, :, :]).all(axis=3)  # [case, other, one]
    better = (ways[:, :, None, :] < ways[:, None, :, :]).any(axis=3)
    return np.asarray(~(no_worse & (better | first)).any(axis=1), dtype=np.bool_)
