"""Logs of nccl-tests and rccl-tests, since 2017 (NVIDIA/nccl-tests src/common.cu and util.cu, ROCm/rccl-tests).

The time of a row is the mean over calls, and over processes and their threads unless ``-a`` says otherwise; each of
these waits for all of its GPUs, so that a single thread times the slowest rank.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collbench.foreign import perf_table
from collbench.foreign.inference import inferred
from collbench.foreign.measured import FASTEST, MEAN, RANK_0, SLOWEST, Case, Latency, Place, Run, Understood, joined
from collbench.foreign.perf_table import Columns, Device, Row, columns_of, device_of, row_of
from collbench.foreign.source import Line, Source
from collbench.foreign.words import collective_of, dtype_of, positive, wrongs
from collbench.host.environment import recorded

NAME = "nccl-tests"
_SETTINGS = re.compile(
    r"(?:# )?nThread\s+(?P<threads>\d+)\s+nGpus\s+(?P<gpus>\d+) "
    r".*warmup iters:\s*(?P<warmups>\d+)\s+iters:\s*(?P<iters>\d+)(?:\s+agg iters:\s*(?P<agg>\d+))?"
    r"(?:.*graph:\s*(?P<graph>\d+))?"
)
_VERSION = re.compile(r"# ([nr])ccl-tests version (\S+)(?:.*[nr]ccl-library=(\d+))?")
_RCCL = re.compile(r"(?:# )?rccl-tests: Version (\S+)")
_OF_ROCM = re.compile(r"(?:HIP version|ROCm version|Hostname|Librccl path)\s*:")
_STARTING = re.compile(r"# Collective test starting: ")
_PROGRAM = re.compile(r"#? ?Collective test (?:starting|concluded): .*?(\w+?)_perf")
_PROGRAMS = "all_reduce|all_gather|reduce_scatter|alltoallv?|broadcast|gather|sendrecv|reduce|scatter|hypercube"
_BLOCKING = re.compile(r"(?:# )?Blocking Enabled")
# Of pages that took the signs away.
_PLAIN = re.compile(r"Using devices|\(B\)|out-of-place|in-place|Collective test")
_HEADINGS = (_RCCL, _OF_ROCM, _SETTINGS, _BLOCKING, _PLAIN)
_COMMAND = re.compile(rf"(?<![a-z_])({_PROGRAMS})_perf(?:_\w+)?\b(.*)")
_VARIABLE = re.compile(r"(?<!\w)([A-Z][A-Z0-9_]*)=([^\s'\"]+)")
_OPTION = re.compile(r"\s-\w")  # which a sentence that names the program lacks
_AVERAGE = re.compile(r"\s(?:-a|--average)[\s=]*([0-3])\b")
_WRONG = re.compile(r"#? ?Out of bounds values\s*:\s*(\d+)")
_AMD = re.compile(r"\b(?:AMD|Instinct|gfx\d+)\b")
_FOOT = re.compile(r"#? ?(?:Out of bounds values|Avg bus bandwidth|Collective test concluded)")
_RUNS = re.compile(rf"(?!#).*(?<![a-z_])(?:{_PROGRAMS})_perf(?:_\w+)?\b")
_BEGINS = (_SETTINGS, _VERSION, _RCCL, _STARTING, _RUNS, re.compile("(?:# )?Using devices"))
STATISTICS = {"0": RANK_0, "1": MEAN, "2": FASTEST, "3": SLOWEST}


def recognise(source: Source) -> bool:
    """Whether a file has the heading of a table with a type and both bandwidths."""
    return any("type" in found.before for line in source.lines if (found := columns_of(line.text, "")))


def understand(source: Source) -> Understood:
    """The runs of a log, those of each rank that the launcher names by themselves."""
    return joined([_of_stream(source, stream) for stream in source.streams])


def _of_stream(source: Source, stream: Sequence[Line]) -> Understood:
    only, found, end = _only_command(source), [], 0
    for lines in sections(stream, _BEGINS):
        library = source.library_between(end, lines[-1].number)
        found.append(_of_section(library, lines, _command(lines) or only))
        end = lines[-1].number
    return joined(found)


def sections(lines: Iterable[Line], begins: Sequence[re.Pattern[str]]) -> Iterator[list[Line]]:
    """The lines of each run: a line that begins one after a heading begins the next."""
    section: list[Line] = []
    has_table = False
    for line in lines:
        if has_table and any(begin.match(line.text) for begin in begins):
            yield section
            section, has_table = [], False
        section.append(line)
        has_table = has_table or columns_of(line.text, "") is not None
    yield section


def _command(lines: Iterable[Line]) -> str:
    """The last command in these lines that runs a test; "" without one."""
    return next((line.text for line in reversed(list(lines)) if _RUNS.match(line.text)), "")


def _only_command(source: Source) -> str:
    """The command of a file that runs one alone, whose stream may be another than that of the table."""
    commands = {line.text for line in source.lines if _RUNS.match(line.text)}
    return commands.pop() if len(commands) == 1 else ""


@dataclass(frozen=True)
class Heading:
    """What precedes a table. ``variables`` are those of its command, None without one."""

    program: str
    variables: Mapping[str, str] | None
    version: str
    library: str
    settings: Mapping[str, str]
    devices: tuple[Device, ...]
    statistic: str
    mode: str
    is_rccl: bool

    @property
    def in_process(self) -> int:
        """Ranks in a process."""
        return int(self.settings.get("threads") or 1) * int(self.settings.get("gpus") or 1)

    @property
    def place(self) -> Place:
        """Where the ranks are."""
        return perf_table.place_of(self.devices, self.in_process)

    @property
    def facts(self) -> dict[str, Any]:
        """The entry of the sidecar."""
        ranks = perf_table.ranks_of(self.devices, **{"rccl" if self.is_rccl else "nccl": self.library})
        return {"ranks": ranks} if self.variables is None else {"ranks": ranks, "variables": self.variables}


def _heading(library: tuple[str, str], lines: Sequence[Line], command: str) -> Heading:
    texts = [line.text for line in lines]
    settings = next((match.groupdict("") for match in map(_SETTINGS.match, texts) if match), {})
    version = next(filter(None, map(_VERSION.match, texts)), None)
    rccl = next((match[1] for match in map(_RCCL.match, texts) if match), "")
    program = next((match[1] for match in map(_PROGRAM.match, texts) if match), "")
    named = _COMMAND.search(command)
    devices = tuple(device for device in map(device_of, texts) if device)
    asked = _AVERAGE.search(named[2]) if named else None
    code = (version[3] if version else "") or ""
    return Heading(
        program=program or (named[1] if named else ""),
        variables=recorded(dict(_VARIABLE.findall(command))) if named and _OPTION.search(named[2]) else None,
        version=version[2] if version else rccl,
        library=version_of(code) or library[1],
        settings=settings,
        devices=devices,
        statistic=statistic_of(asked[1] if asked else "1", devices, int(settings.get("threads") or 1)),
        mode=mode_of(settings, any(map(_BLOCKING.match, texts))),
        is_rccl=bool(rccl)
        or (version is not None and version[1] == "r")
        or library[0] == "rccl"
        or any(_AMD.search(device.gpu) for device in devices),
    )


def statistic_of(average: str, devices: Sequence[Device], threads: int) -> str:
    """What a time is. A single thread waits for all of its GPUs, and so times the slowest."""
    processes = {(device.host, device.pid) for device in devices if device.pid}
    return SLOWEST if len(processes) == 1 and threads == 1 else STATISTICS[average]


def mode_of(settings: Mapping[str, str], blocking: bool) -> str:
    """Our mode: calls in a graph, calls that the host waits for, or calls back to back; "" without settings."""
    if not settings:
        return ""
    if int(settings.get("graph") or 0):
        return "chain"
    return "isolated" if blocking else "throughput"


def version_of(code: str) -> str:
    """NCCL's version from its number: 22809 is 2.28.9, before 2.9 2708 is 2.7.8; "" for no number."""
    if not code.isdecimal():
        return ""
    number, unit = int(code), 10000 if len(code) > 4 else 1000
    return f"{number // unit}.{number % unit // 100}.{number % 100}"


def _of_section(library: tuple[str, str], lines: Sequence[Line], command: str) -> Understood:
    heads = [
        (place, found)
        for place, line in enumerate(lines)
        if (found := columns_of(line.text, lines[place - 1].text if place else "")) and "type" in found.before
    ]
    known = {line.number for line in lines if line.text.startswith("#") or _is_heading(line.text)}
    if not heads:
        return Understood((), frozenset(known))
    place, columns = heads[0]
    heading = _heading(library, lines, command)
    whole = any(_FOOT.match(line.text) for line in lines)
    rows = [row for line in lines[place + 1 :] if (row := row_of(line, columns, may_lack=whole))]
    cases, damaged = ([], set()) if _ran_alone(lines) else _cases(rows, columns, heading)
    known |= {row.line for row in rows} - damaged
    known |= {line.number for line in lines if _FOOT.match(line.text) or (command and line.text == command)}
    tool = "rccl-tests" if heading.is_rccl else NAME
    run = Run(tool, heading.version, tuple(cases), heading.facts, tuple(_remarks(lines, columns, whole)))
    return Understood((run,), frozenset(known))


def _is_heading(text: str) -> bool:
    return any(each.match(text) for each in _HEADINGS) or bool(device_of(text) or columns_of(text, ""))


def _remarks(lines: Sequence[Line], columns: Columns, whole: bool) -> Iterator[str]:
    """What is to be said of a run as a whole."""
    outside = next((match[1] for line in lines if (match := _WRONG.match(line.text))), "0")
    if "#wrong" not in columns.sides[0][1] and outside != "0":
        yield f"counts {outside} values out of bounds, and does not say in which rows"
    if not whole:
        yield "has no foot: it is truncated"
    if "cputime" in columns.sides[0][1]:
        yield "has times of the CPU (-C), which are no latencies"
    if _ran_alone(lines):
        yield "lists a rank twice: its processes ran alone, as those of an nccl-tests that was built without MPI do"


def _ran_alone(lines: Iterable[Line]) -> bool:
    """Whether several processes have a rank of the same number."""
    ranks = [device.rank for line in lines if (device := device_of(line.text))]
    return len(set(ranks)) < len(ranks)


def _cases(rows: Sequence[Row], columns: Columns, heading: Heading) -> tuple[list[Case], set[int]]:
    """The cases of these rows, and the lines of those with a number that is none."""
    if "cputime" in columns.sides[0][1]:
        return [], set()
    collective = collective_of(heading.program) or heading.program or inferred(rows, heading.place, columns.scale)
    found, damaged = [], set()
    for row in rows:
        try:
            found += [_case(row, side, columns, heading, collective) for side in row.sides]
        except ValueError:
            damaged.add(row.line)
    return found, damaged


def _case(row: Row, side: str, columns: Columns, heading: Heading, collective: str) -> Case:
    cells, settings = row.sides[side], heading.settings
    us = positive(cells["time"]) * columns.scale
    calls = int(settings.get("iters") or 0) * int(settings.get("agg") or 1)
    ops = [word for word in row.words[1:] if not word.lstrip("-").isdecimal() and word != "none"]
    return Case(
        line=row.line,
        collective=collective,
        size=row.size,
        latency=latency_of(us, heading.statistic, cells),
        statistic=heading.statistic,
        backend="rccl" if heading.is_rccl else "nccl",
        dtype=dtype_of(row.words[0]),
        op=ops[0] if ops else "",
        in_place=side == "in-place",
        place=heading.place,
        mode=heading.mode,
        calls=calls or None,
        samples=1 if heading.statistic == SLOWEST else None,
        warmups=int(settings["warmups"]) if settings.get("warmups") else None,
        wrong=_count(cells.get("#wrong", "")),
    )


def latency_of(us: float, statistic: str, cells: Mapping[str, str]) -> Latency:
    """The latency of a row, with the report over single calls where there is one (``-I 1``)."""
    least, most, p99 = (positive(cells[name]) if name in cells else None for name in ("i_min", "i_max", "i_p99"))
    slowest, mean = (us, None) if statistic == SLOWEST else (None, us)
    return Latency(slowest, mean, least=least, most=most, p99=p99)


def _count(text: str) -> int | None:
    """The number of wrong elements; None where none were checked."""
    return None if text in ("", "N/A") else wrongs(text.rstrip("*"))
