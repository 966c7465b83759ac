"""Logs of the Intel MPI Benchmarks (github.com/intel/mpi-benchmarks, IMB-MPI1).

Each call is timed by itself, by default with a barrier after it; t_max is the mean over calls on the slowest rank,
t_avg that over all ranks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from collbench.foreign.measured import RANK_0, SLOWEST, Case, Latency, Place, Run, Understood, joined
from collbench.foreign.source import Line, Source
from collbench.foreign.words import REDUCING, collective_of, dtype_of, positive, whole

NAME = "Intel MPI Benchmarks"
_BENCHMARK = re.compile(r"#?\s*Benchmarking (?P<multi>Multi-)?(?P<name>\w+)")
_PROCESSES = re.compile(r"#\s*(?:#processes = (\d+)|\( (\d+) groups of (\d+) processes)")
_VERSION = re.compile(r"#?\s*Intel ?\(R\) MPI Benchmarks?(?: Suite)? V?(\d[\w.]*)")
_TYPE = re.compile(r"#\s*MPI_Datatype\s*(?P<of>for reductions)?\s*:\s*(MPI_\w+)")
_HEAD = re.compile(r"\s*(?:&Group\s+)?#bytes\s+#repetitions\s+(.*)")
_PER_RANK = ("all_gather", "all_to_all", "gather")
_CALLED = {"PingPong": "send"}
_NUMBERS = re.compile(r"[\d.,\s]+")
_OUT = re.compile(r"\s*\d+\s+(?:out-of-mem|int-overflow|time-out)")


@dataclass
class Reader:
    """What a stream has said so far; ``cases`` are those of its runs."""

    version: str = ""
    types: dict[bool, str] = field(default_factory=lambda: {False: "uint8", True: "float32"})  # by "for reductions"
    name: str = ""
    place: Place = field(default_factory=Place)
    columns: tuple[str, ...] = ()
    cases: list[Case] = field(default_factory=list)
    known: set[int] = field(default_factory=set)
    foreign: dict[str, None] = field(default_factory=dict)  # benchmarks that are none of ours

    def read(self, line: Line) -> None:
        """Take in a line."""
        text = line.text
        if match := _VERSION.match(text):
            self.version = match[1]
        elif match := _TYPE.match(text):
            self.types[bool(match["of"])] = dtype_of(match[2])
        elif match := _BENCHMARK.match(text):
            self.name, self.columns, self.place = match["name"], (), Place()
        elif match := _PROCESSES.match(text):
            self.place = Place(int(match[1] or match[3]), groups=int(match[2]) if match[2] else None)
        elif match := _HEAD.match(text):
            self.columns = ("bytes", "repetitions", *match[1].split())
            self.known.add(line.number)
        elif self.columns and not text.startswith("#"):
            self._row(line)
        elif self.name and not self.collective and _NUMBERS.fullmatch(text):  # such as those of Barrier
            self.foreign[self.name] = None
            self.known.add(line.number)
        if text.startswith("#"):
            self.known.add(line.number)

    @property
    def collective(self) -> str:
        """Ours, "" for one that is none of ours."""
        return _CALLED.get(self.name, collective_of(self.name))

    def _row(self, line: Line) -> None:
        if _OUT.match(line.text):
            self.known.add(line.number)
            return
        cells = line.text.split()
        try:
            found = dict(zip(self.columns, cells, strict=True))
            case = self._case(line, found)
        except (ValueError, KeyError):
            return
        self.known.add(line.number)
        if not self.collective:
            self.foreign[self.name] = None
        elif case:
            self.cases.append(case)

    def _case(self, line: Line, found: dict[str, str]) -> Case | None:
        """None for an empty message."""
        size, calls = whole(found["bytes"]), whole(found["repetitions"])
        if not size:
            return None
        between_two = "t[usec]" in found
        latency = (
            Latency(mean=positive(found["t[usec]"]))
            if between_two
            else Latency(positive(found["t_max[usec]"]), positive(found["t_avg[usec]"]))
        )
        reduces = self.collective in REDUCING
        return Case(
            line=line.number,
            collective=self.collective,
            size=size,
            latency=latency,
            statistic=RANK_0 if between_two else SLOWEST,
            backend="mpi",
            dtype=self.types[reduces],
            op="sum" if reduces else "",
            per_rank=self.collective in _PER_RANK,
            place=self.place,
            mode="chain" if between_two else "isolated",
            calls=calls,
            samples=None if between_two else 1,
        )


def recognise(source: Source) -> bool:
    """Whether a line is the heading of a table of IMB."""
    return any(_HEAD.match(line.text) for line in source.lines)


def understand(source: Source) -> Understood:
    """A run for each program that a stream has: it runs its benchmarks in one job."""
    return joined([_of_program(lines) for stream in source.streams for lines in _programs(stream)])


def _programs(stream: Iterable[Line]) -> list[list[Line]]:
    """The lines of each program: after a table, the name of the suite begins the next."""
    found: list[list[Line]] = [[]]
    has_table = False
    for line in stream:
        if has_table and _VERSION.match(line.text):
            found.append([])
            has_table = False
        found[-1].append(line)
        has_table = has_table or _HEAD.match(line.text) is not None
    return found


def _of_program(lines: Sequence[Line]) -> Understood:
    reader = Reader()
    for line in lines:
        reader.read(line)
    facts: dict[str, Any] = {}
    run = Run("imb", reader.version, tuple(reader.cases), facts, tuple(_remarks(reader.foreign)))
    return Understood((run,), frozenset(reader.known))


def _remarks(names: Iterable[str]) -> Iterable[str]:
    listed = ", ".join(names)
    return [f"has no collective of ours: {listed}"] if listed else []
