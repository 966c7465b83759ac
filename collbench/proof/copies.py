"""Copies that went astray: of which part of which rank's input an output holds the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from collbench.devices.device import PERIOD, Values
from collbench.plan.problem import Problem


@dataclass(frozen=True)
class Copied:
    """A part of the input of rank ``source``, which starts at element ``origin`` of it; ``words`` say whose it is."""

    source: int
    origin: int
    words: str


def copies_of(problem: Problem) -> tuple[Copied, ...]:
    """Every part of an input that some rank's output should hold, each once; () where inputs are reduced."""
    if problem.collective.reduces:
        return ()
    receivers: dict[tuple[int, int], list[int]] = {}
    for rank in range(problem.layout.size):
        for piece in problem.pieces(rank):
            receivers.setdefault((piece.sources[0], piece.origin), []).append(rank)
    return tuple(Copied(*part, _words(part[0], ranks)) for part, ranks in receivers.items())


def _words(source: int, receivers: list[int]) -> str:
    if receivers == [source]:
        return f"what rank {source} keeps"
    return f"what rank {source} sends" + (f" to rank {receivers[0]}" if len(receivers) == 1 else "")


def astray(copies: Iterable[Copied], inputs: Values, seen: Values, entries: Values) -> str | None:
    """Of which part an output holds the data instead of its own, in words; None where of no part, or of several.

    ``inputs``: one period of every rank's, shape (ranks, PERIOD); ``seen`` are the wrong elements, and ``entries`` the
    entries of the table that hold these elements of a part whose origin is 0.
    """
    found = [each for each in copies if np.array_equal(seen, inputs[each.source][(entries + each.origin) % PERIOD])]
    return f"it holds {found[0].words}" if len(found) == 1 else None
