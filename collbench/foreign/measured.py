"""What a file of another benchmark says, before it becomes rows; and the protocol of a format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from collbench.foreign.source import Source
from collbench.results.footing import OVER_RANKS, SLOWEST_RANK

# Statistics of tools, each of the mean over calls.
MEAN, SLOWEST, FASTEST, RANK_0 = OVER_RANKS, SLOWEST_RANK, "fastest rank", "rank 0"
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Place:
    """Where a case ran: ranks of a group, nodes, ranks on each node (None where nodes differ, or where it is unknown),
    and the number of groups side by side, if several. None is what the file does not say."""

    ranks: int | None = None
    nodes: int | None = None
    per_node: int | None = None
    groups: int | None = None


@dataclass(frozen=True)
class Latency:
    """Microseconds. ``slowest`` is that of the slowest rank (its median over samples, or its only sample), ``mean`` the
    tool's figure where that is another one; the others are over samples of the slowest rank."""

    slowest: float | None = None
    mean: float | None = None
    least: float | None = None
    p95: float | None = None
    p99: float | None = None
    most: float | None = None
    samples: tuple[float, ...] = ()


@dataclass(frozen=True)
class Case:
    """One measured case. ``size`` is in bytes: of the larger of a rank's two buffers, or where ``per_rank``, of the
    part of it that is one rank's. ``line`` is its place in the file; ``backend`` the library that was timed; ``calls``
    is how many calls a sample has; ``wrong`` the number of wrong elements, None where it is unknown. ``statistic`` says
    in words what the latency is. ``params`` are further choices, such as an algorithm. "" is what is unknown."""

    line: int
    collective: str
    size: int
    latency: Latency
    statistic: str
    backend: str
    dtype: str = ""
    op: str = ""
    in_place: bool = False
    per_rank: bool = False
    place: Place = Place()
    mode: str = ""
    calls: int | None = None
    samples: int | None = None
    warmups: int | None = None
    wrong: int | None = None
    fault: str = ""
    params: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    @property
    def key(self) -> tuple[object, ...]:
        """What distinguishes the cases of one run."""
        return (
            self.collective, self.size, self.dtype, self.op, self.in_place, self.place, self.mode, self.backend,
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """The cases of one process or job, in their order, and the tool that measured them. ``facts`` are entries of the
    sidecar, in its form: ``started``, ``ranks``, ``mpi``, ``argv``, ``variables``."""

    tool: str
    version: str
    cases: tuple[Case, ...]
    facts: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Understood:
    """The runs in a file, and the numbers of the lines that were understood, remarks and headings among them."""

    runs: tuple[Run, ...] = ()
    lines: frozenset[int] = field(default_factory=frozenset)


class Format(Protocol):
    """One format. A module is one: its functions are these members."""

    NAME: str

    def recognise(self, source: Source) -> bool:
        """Whether the content of a file has this format, in whole or in part."""

    def understand(self, source: Source) -> Understood:
        """What it says; lines that are damaged are left out of ``lines``."""


def joined(parts: Sequence[Understood]) -> Understood:
    """What several formats, or streams of one file, say together."""
    runs = tuple(run for part in parts for run in part.runs)
    return Understood(runs, frozenset(number for part in parts for number in part.lines))
