"""Results of MSCCL++: lines of JSON and the table of mscclpp-test, and the tables of python/mscclpp_benchmark
(microsoft/mscclpp). All time calls in a CUDA graph."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from collbench.foreign import perf_table
from collbench.foreign.measured import MEAN, RANK_0, SLOWEST, Case, Latency, Place, Run, Understood
from collbench.foreign.perf_table import Columns, columns_of, device_of, row_of
from collbench.foreign.source import Line, Source
from collbench.foreign.words import REDUCING, collective_of, count, dtype_of, positive, sized, whole

NAME = "mscclpp"
OUT_OF_PLACE = ("all_to_all", "send_recv")  # of mscclpp-test; the others are in place
_PRETTY = re.compile(r"\|\s*Size \((\w+)\)\s*\|\s*Time \(us\)\s*\|")
_TITLE = re.compile(r"MSCCL\+\+ (\w+) benchmark: profile=.*? dtype=(\w+)")
_BENCH = re.compile(r"batch\s*\|\s*msg\s*\|\s*total\s*\|")
_SETTINGS = re.compile(r"# minBytes .*warmup iters: (\d+) iters: (\d+) .*kernel num: (\d+)")
_FRAME = re.compile(r"[-+|=.\s]+")
_GAP = re.compile(r"\d+\s+\d+(\s+)")  # between the count and the first time
_BLANKS = 33  # in place of a side
_NAMED = re.compile(r"\b(\w+)_test_perf\b|mscclpp-test_perf\s+(\w+)")


def recognise(source: Source) -> bool:
    """Whether a file has one of the four."""
    return any(_is_result(line.text) or _PRETTY.match(line.text) or _BENCH.match(line.text) or _is_table(line.text)
               for line in source.lines)  # fmt: skip


def understand(source: Source) -> Understood:
    """What all parts of a file say, as one run."""
    parts = [_results, _pretty, _bench, _table]
    found = [part(source.lines) for part in parts]
    cases = tuple(case for each, _ in found for case in each)
    known = frozenset(number for _, numbers in found for number in numbers)
    devices = [device for line in source.lines if (device := device_of(line.text))]
    return Understood((Run("mscclpp", "", cases, {"ranks": perf_table.ranks_of(devices)} if devices else {}),), known)


Part = tuple[list[Case], set[int]]  # cases, and the lines that are understood


def _is_result(text: str) -> bool:
    return text.startswith("{") and '"ranksPerNode"' in text and '"kernel"' in text


def _results(lines: Iterable[Line]) -> Part:
    """Lines of JSON: the file of ``mscclpp-test -o``."""
    found = [(line.number, _result(line)) for line in lines if _is_result(line.text)]
    return [case for _, case in found if case], {number for number, case in found if case}


def _result(line: Line) -> Case | None:
    try:
        content: Mapping[str, Any] = json.loads(line.text)
        ranks, per_node = count(content["ranks"]), count(content["ranksPerNode"])
        us, name, size = positive(str(content["time"])), str(content["name"]), whole(str(content["size"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    place = Place(ranks, -(-ranks // per_node), per_node)
    return _case(line.number, name, size, us, MEAN, str(content.get("kernel", "")), place)


def _case(line: int, name: str, size: int, us: float, statistic: str, kernel: str, place: Place) -> Case:
    """A case of mscclpp-test, which has int32 alone; a kernel is named by its number."""
    collective = collective_of(name) or name
    return Case(
        line=line, collective=collective, size=size, latency=Latency(mean=us), statistic=statistic,
        backend=f"mscclpp-{kernel}" if kernel else "mscclpp", dtype="int32",
        op="sum" if collective in REDUCING else "", in_place=collective not in OUT_OF_PLACE, place=place, mode="chain",
    )  # fmt: skip


def _is_table(text: str) -> bool:
    columns = columns_of(text, "")
    return columns is not None and columns.before == ("size", "count")


def _table(lines: Sequence[Line]) -> Part:
    """The table of ``mscclpp-test``, whose collective only its command names."""
    place = next((at for at, line in enumerate(lines) if _is_table(line.text)), None)
    columns = columns_of(lines[place].text, lines[place - 1].text if place else "") if place is not None else None
    if place is None or columns is None:
        return [], set()
    settings = next(filter(None, (_SETTINGS.match(line.text) for line in lines)), None)
    devices = [device for line in lines if (device := device_of(line.text))]
    named = next(filter(None, (_NAMED.search(line.text) for line in lines)), None)
    name = (named[1] or named[2]) if named else ""
    found = [_of_row(line, columns, name, settings[3] if settings else "", perf_table.place_of(devices, 1))
             for line in lines[place + 1 :]]  # fmt: skip
    cases = [case for case in found if case]
    return cases, {case.line for case in cases} | {line.number for line in lines if line.text.startswith("#")}


def _of_row(line: Line, columns: Columns, name: str, kernel: str, place: Place) -> Case | None:
    """The case of a row, which has one side; blanks stand for the cells in place where it is the other one."""
    row, gap = row_of(line, columns, may_lack=True), _GAP.match(line.text)
    if row is None or gap is None:
        return None
    cells = next(iter(row.sides.values()))
    try:
        case = _case(line.number, name, row.size, positive(cells["time"]), MEAN, kernel, place)
    except ValueError:
        return None
    return replace(case, in_place=len(gap[1]) < _BLANKS)


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.strip().strip("|").split("|")]


def _framed(lines: Sequence[Line], head: re.Pattern[str], make: Callable[[Line, list[str]], list[Case]]) -> Part:
    """The cases of the rows below each heading of a table with bars between its cells."""
    cases, known, width = [], set(), 0
    for line in lines:
        cells = _cells(line.text)
        if head.match(line.text.strip()):
            width = len(cells)
            known.add(line.number)
        elif _FRAME.fullmatch(line.text):
            known.add(line.number)
        elif width and len(cells) == width:
            try:
                cases += make(line, cells)
            except (ValueError, IndexError):
                continue
            known.add(line.number)
    return cases, known


def _pretty(lines: Sequence[Line]) -> Part:
    """The table of allreduce_bench.py, which times NCCL beside MSCCL++, on rank 0."""
    head = next((match for line in lines if (match := _PRETTY.match(line.text.strip()))), None)
    dtype = dtype_of(head[1]) if head else ""

    def make(line: Line, cells: list[str]) -> list[Case]:
        size = sized(cells[0])
        sides = (("mscclpp", cells[1], cells[3]), ("nccl", cells[4], cells[6]))
        return [
            Case(line=line.number, collective="all_reduce", size=size, latency=Latency(mean=positive(time)),
                 statistic=RANK_0, backend=name, dtype=dtype, op="sum", in_place=True, mode="chain",
                 fault="its check failed" if check == "FAIL" else "")
            for name, time, check in sides
        ]  # fmt: skip

    return _framed(lines, _PRETTY, make)


def _bench(lines: Sequence[Line]) -> Part:
    """The table of bench_collective.py, whose times are those of the slowest rank."""
    title = next((match for line in lines if (match := _TITLE.search(line.text))), None)
    if title is None:
        return [], set()
    collective = collective_of(title[1]) or title[1]

    def make(line: Line, cells: list[str]) -> list[Case]:
        return [
            Case(line=line.number, collective=collective, size=max(sized(cells[1]), sized(cells[2])),
                 latency=Latency(positive(cells[6])), statistic=SLOWEST, backend="mscclpp", dtype=dtype_of(title[2]),
                 op="sum" if collective in REDUCING else "", mode="chain", samples=1,
                 params={"algorithm": cells[3], "batch": str(whole(cells[0]))},
                 fault="its check failed" if cells[9] == "FAIL" else "")
        ]  # fmt: skip

    cases, known = _framed(lines, _BENCH, make)
    return cases, known | {line.number for line in lines if _TITLE.search(line.text)}
