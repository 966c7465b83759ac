"""The latency of one collective, with its range and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from collbench.errors import UsageError

MEASURED, MODELLED, ASSUMED = "measured", "modelled", "assumed"
MOST_BYTES = 1 << 60
BASES = (MEASURED, MODELLED, ASSUMED)  # from the firmest


class AmbiguousError(UsageError):
    """Rows of different cases answer a request alike: no other source may stand in for them."""


@dataclass(frozen=True)
class Estimate:
    """A latency in microseconds between ``low`` and ``high`` (95 %), one of BASES, and where it comes from.

    ``measured``: a row of a results file at this very size and world, or between two such sizes. ``modelled``: a model
    whose constants were fitted to measurements of this kind of link. ``assumed``: constants or scaling that nothing
    measured here supports.
    """

    us: float
    low: float
    high: float
    basis: str
    source: str


class Latencies(Protocol):
    """A source of latencies."""

    @property
    def name(self) -> str:
        """What it is called in tables and charts."""

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """The latency of one ``operation``, a collective of ``plan.collectives``, on a message of ``size`` bytes (the
        larger of a rank's two buffers) among ``ranks`` ranks spread evenly over ``nodes`` nodes.

        Raises UsageError where the source has no such collective, or nothing near this size and world, and
        AmbiguousError where it has several that differ in what is not asked for.
        """


def check_request(size: int, ranks: int, nodes: int) -> None:
    """Raise UsageError for a message that is empty or that no memory holds, fewer than two ranks, and ranks that nodes
    cannot share evenly."""
    if size < 1:
        raise UsageError(f"a message of {size} bytes is empty; give at least 1 byte.")
    if size > MOST_BYTES:
        raise UsageError(f"no memory holds a message of more than {MOST_BYTES} bytes; give a smaller one.")
    if ranks < 2 or nodes < 1 or ranks % nodes:
        raise UsageError(f"{ranks} ranks cannot be spread evenly over {nodes} nodes; at least two ranks take part.")
