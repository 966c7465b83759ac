"""Logs of the OSU micro-benchmarks, from 3 to 7 (mvapich.cse.ohio-state.edu), also those for NCCL and RCCL.

Each call is timed by itself, with a barrier after it. "Avg" is the mean over ranks of the mean over calls; "Max", of
``-f``, that of the slowest rank. The programs do not say how many ranks there were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collbench.foreign.measured import MEAN, RANK_0, SLOWEST, Case, Latency, Place, Run, Understood, joined
from collbench.foreign.source import Line, Source
from collbench.foreign.words import REDUCING, collective_of, dtype_of, positive, whole

NAME = "OSU micro-benchmarks"
_TITLE = re.compile(
    r"(?:# )?OSU (?P<library>MPI|NCCL|RCCL|XCCL)(?P<device>[-_]\w+(?: MANAGED)?)? (?:(?P<name>.*?) )?"
    r"(?P<kind>Latency|Bandwidth|Message Rate) Test(?: v(?P<version>\S+))?", re.IGNORECASE,
)  # fmt: skip
_DATATYPE = re.compile(r"# Datatype: (\S+?)\.?$")
_HEAD = re.compile(r"#?\s*Size\s+.*\(us\)")
_PER_RANK = ("all_gather", "all_to_all", "gather")  # their sizes are those of a rank's part
_CALLED = {"All-to-All Personalized Exchange": "all_to_all", "": "send"}


@dataclass(frozen=True)
class Table:
    """A program's output: the match of its title, and its lines."""

    title: re.Match[str]
    lines: tuple[Line, ...]

    @property
    def library(self) -> str:
        """What was timed: mpi, nccl or rccl."""
        return self.title["library"].lower()

    @property
    def device(self) -> str:
        """The kind of memory, such as cuda; "" for that of the host."""
        return (self.title["device"] or "").strip("-_").lower()

    @property
    def collective(self) -> str:
        """Ours, "" for one that is none of ours. A ping-pong is two sends."""
        name, is_latency = self.title["name"] or "", self.title["kind"].lower() == "latency"
        if not is_latency or (self.title["device"] or "").startswith("_"):
            return ""
        return _CALLED[name] if name in _CALLED else collective_of(name)


def recognise(source: Source) -> bool:
    """Whether a line is the title of a program of the suite."""
    return any(_TITLE.match(line.text) for line in source.lines)


def understand(source: Source) -> Understood:
    """A run for each program whose output a file has."""
    return joined([_of_table(table) for stream in source.streams for table in _tables(stream)])


def _tables(lines: Iterable[Line]) -> Iterable[Table]:
    title: re.Match[str] | None = None
    inside: list[Line] = []
    for line in lines:
        match = _TITLE.match(line.text)
        if match and title:
            yield Table(title, tuple(inside))
        title, inside = (match, []) if match else (title, inside)
        inside.append(line)
    if title:
        yield Table(title, tuple(inside))


def _of_table(table: Table) -> Understood:
    known = {line.number for line in table.lines if line.text.startswith("#") or _TITLE.match(line.text)}
    dtype, cases = _default_type(table), []
    columns: tuple[str, ...] = ()
    for line in table.lines:
        if match := _DATATYPE.match(line.text):
            dtype = dtype_of(match[1])
        elif _HEAD.match(line.text):
            columns = columns_of(line.text)
            known.add(line.number)
        elif (found := _row(line, columns)) and table.collective:
            known.add(line.number)
            cases += [_case(line.number, found, table, dtype)] if whole(found["size"]) else []
    remarks = () if table.collective else (f"has no latency of a collective of ours: {table.title[0].lstrip('# ')}",)
    if not table.collective:
        known |= {line.number for line in table.lines if line.text[:1].isdigit()}
    return Understood((Run("osu", (table.title["version"] or ""), tuple(cases), {}, remarks),), frozenset(known))


def _default_type(table: Table) -> str:
    """Versions before 7 do not name the type: floats are reduced, characters sent."""
    return "float32" if table.collective in REDUCING else "int8"


def columns_of(text: str) -> tuple[str, ...]:
    """The columns of a heading, in lower case and without units: size, avg, min, max, iterations, p50, ..."""
    words = re.split(r"\s{2,}", text.lstrip("# ").strip().lower())
    names = [re.sub(r"\s*(?:tail )?(?:lat(?:ency)?)?\s*\(us\)|\s*\(us\)", "", word).strip() for word in words]
    return tuple(name or "avg" for name in names)


def _row(line: Line, columns: Sequence[str]) -> dict[str, str]:
    """The cells of a row by their columns; {} for another line, and for a damaged one."""
    cells = line.text.split()
    found = dict(zip(columns, cells, strict=False))
    try:
        if len(cells) != len(columns) or not {"size", "avg"} <= found.keys():
            return {}
        for name in ("size", "iterations"):
            whole(found.get(name, "1"))
        for name in ("avg", "min", "max"):
            positive(found.get(name, "1"))
    except ValueError:
        return {}
    return found


def _case(number: int, found: dict[str, str], table: Table, dtype: str) -> Case:
    one_way, latency = table.collective == "send", _latency(found)
    return Case(
        line=number,
        collective=table.collective,
        size=whole(found["size"]),
        latency=latency,
        statistic=SLOWEST if latency.slowest else RANK_0 if one_way else MEAN,
        backend=table.library,
        dtype=dtype,
        op="sum" if table.collective in REDUCING else "",
        per_rank=table.collective in _PER_RANK,
        place=Place(ranks=2) if one_way else Place(),
        mode="chain" if one_way else "isolated",
        calls=whole(found["iterations"]) if "iterations" in found else None,
        samples=1 if latency.slowest else None,
        wrong=0 if found.get("validation", "").lower() == "pass" else None,
        fault="its validation failed" if found.get("validation", "").lower() == "fail" else "",
        params={"memory": table.device} if table.device else {},
    )


def _latency(found: dict[str, str]) -> Latency:
    return Latency(positive(found["max"]) if "max" in found else None, positive(found["avg"]))
