"""Sources of latencies beside those that are fitted or measured: under another name, with a rest, and faster ones."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.errors import UsageError
from collbench.fit.estimate import ASSUMED, AmbiguousError, Estimate, Latencies
from collbench.fit.sources import parse_source
from collbench.predict.amdahl import SIZES

ALL_REDUCES = frozenset({"all_reduce", "all_reduce_rms_norm"})


@dataclass(frozen=True)
class Labelled:
    """A source under another name."""

    name: str
    source: Latencies

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """As `Latencies.of`."""
        return self.source.of(operation, size, ranks, nodes)


@dataclass(frozen=True)
class Backed:
    """A source of latencies with another one, ``rest``, for what it has not: collectives, sizes and worlds."""

    first: Latencies
    rest: Latencies

    @property
    def name(self) -> str:
        """The name of the first."""
        return self.first.name

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """As `Latencies.of`; raises the UsageError of the first where both have none, or where it has too many."""
        try:
            return self.first.of(operation, size, ranks, nodes)
        except AmbiguousError:
            raise
        except UsageError as error:
            try:
                return self.rest.of(operation, size, ranks, nodes)
            except UsageError:
                raise error from None


@dataclass(frozen=True)
class Faster:
    """All-reduces between nodes, fused or not, of the sizes of arXiv 2511.09557, ``times`` as fast as those of
    ``base``; all else as ``base`` has it."""

    base: Latencies
    times: float

    def __post_init__(self) -> None:
        if not 0 < self.times < float("inf"):
            raise UsageError(f"--faster is {self.times:g}; it must be a positive number.")

    @property
    def name(self) -> str:
        """The base and the factor."""
        return f"{self.base.name} ÷ {self.times:g}"

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """As `Latencies.of`."""
        found = self.base.of(operation, size, ranks, nodes)
        if operation not in ALL_REDUCES or nodes == 1 or not min(SIZES) <= size <= max(SIZES):
            return found
        us, low, high = (each / self.times for each in (found.us, found.low, found.high))
        return Estimate(us, low, high, ASSUMED, f"{self.base.name}, {self.times:g} times as fast")


def named(text: str) -> Latencies:
    """The source of ``SOURCE`` or ``LABEL=SOURCE``. Raises UsageError as `parse_source` does."""
    label, sign, rest = text.partition("=")
    if sign and label and not set(":/?#") & set(label):
        return Labelled(label, parse_source(rest))
    return parse_source(text)
