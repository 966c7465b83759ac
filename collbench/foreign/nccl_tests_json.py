"""What nccl-tests writes with ``-J FILE`` (src/util.cu, versions 1 to 3 of the file), also where it ended early."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from collbench.foreign.measured import SLOWEST, Case, Latency, Place, Run, Understood
from collbench.foreign.nccl_tests import STATISTICS, mode_of, version_of
from collbench.foreign.perf_table import Device, ranks_of
from collbench.foreign.source import Source
from collbench.foreign.words import collective_of, count, dtype_of, positive, whole, wrongs
from collbench.host.environment import recorded

NAME = "nccl-tests JSON"
_KEYS = ('"nccl_version"', '"results"', '"args"')
_NO_NUMBER = re.compile(r":-?(?:inf|nan)\b")  # as C prints what JSON has no word for
_MOST_ENDS = 64  # of objects, from the last, at which a file that ended early may be closed
Json = Mapping[str, Any]


def recognise(source: Source) -> bool:
    """Whether a file has an object with the keys of nccl-tests."""
    text = source.text.lstrip()
    return text.startswith("{") and all(key in text for key in _KEYS)


def understand(source: Source) -> Understood:
    """The runs in a file, one for each object; of one that ended early, its complete results."""
    runs = [run for content, whole in _objects(_NO_NUMBER.sub(":null", source.text)) if (run := _sound(content, whole))]
    return Understood(tuple(runs), frozenset(line.number for line in source.lines) if runs else frozenset())


def _sound(content: Json, whole: bool) -> Run | None:
    """The run of an object; None for one of another shape."""
    try:
        return _run(content, whole)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def _objects(text: str) -> Iterator[tuple[Json, bool]]:
    """The objects in a text one after another, and whether each is complete."""
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            yield from ((each, False) for each in _closed(text[at:]))
            return
        yield found, True
        at = text.find("{", end)


def _closed(text: str) -> Iterator[Json]:
    """The object that a text breaks off in, closed after the last result that makes one."""
    ends = [match.end() for match in re.finditer("}", text)][: -_MOST_ENDS - 1 : -1]
    for end in ends:
        with suppress(ValueError, RecursionError):
            yield json.loads(f"{text[:end]}]}}")
            return


def _run(content: Json, whole: bool) -> Run:
    config, arguments = content["config"], [str(word) for word in content["args"]]
    devices = _devices(config)
    in_process = count(config["nthreads"]) * count(config["ngpus"])
    statistic = SLOWEST if len(devices) == 1 and config["nthreads"] == 1 else STATISTICS[_average(arguments)]
    library = version_of(str(content.get("nccl_version", "")))
    place = _place(devices, in_process)
    cases: list[Case] = []
    remarks = [] if whole else ["is truncated"]
    for number, result in enumerate(content["results"], start=1):
        try:
            cases += _cases(result, content, statistic, place)
        except (KeyError, TypeError, ValueError, AttributeError):
            remarks.append(f"has no sound numbers in result {number}")
    variables = dict(each.partition("=")[::2] for each in content.get("env") or ())
    facts = {
        "started": _time(str(content.get("start_time", ""))),
        "argv": arguments,
        **({"variables": recorded(variables)} if "env" in content else {}),
        "ranks": ranks_of(devices, nccl=library),
    }
    if any("cpu_time" in (result.get(side) or {}) for result in content["results"] for side in _SIDES):
        remarks.append("has times of the CPU (-C), which are no latencies")
    return Run("nccl-tests", "", tuple(cases), facts, tuple(remarks))


def _time(text: str) -> str:
    """A time as the sidecar has it, "" for other text."""
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _devices(config: Json) -> list[Device]:
    """The first rank of each process: others are not in the file."""
    names = ("hostname", "device_info", "pid", "group")
    return [Device(whole(str(each["rank"])), *(str(each[name]) for name in names)) for each in config["devices"]]


def _place(processes: Sequence[Device], in_process: int) -> Place:
    groups = len({each.group for each in processes})
    first = [each for each in processes if each.group == processes[0].group]
    hosts = [each.host for each in first]
    each = {hosts.count(host) * in_process for host in hosts}
    per_node = each.pop() if len(each) == 1 else None
    return Place(len(first) * in_process, len(set(hosts)), per_node, groups if groups > 1 else None)


def _average(arguments: Sequence[str]) -> str:
    """The value of ``-a``: how nccl-tests reduces over processes."""
    words = " ".join(arguments)
    found = re.search(r"(?:^|\s)(?:-a|--average)[\s=]*([0-3])\b", words)
    return found[1] if found else "1"


_SIDES = ("out_of_place", "in_place")
_PROGRAM = re.compile(r"(\w+?)_perf")  # NAME_SUFFIX=_mpi makes it all_reduce_perf_mpi


def _cases(result: Json, content: Json, statistic: str, place: Place) -> Iterable[Case]:
    config = content["config"]
    named = _PROGRAM.search(str(content["args"][0]).rpartition("/")[2])
    program = named[1] if named else ""
    op = str(result.get("redop") or "")
    for side in _SIDES:
        measured = result.get(side)
        if not measured or "time" not in measured:
            continue
        report = result.get(f"{side}_per_iter") or {}
        wrong = measured.get("nwrong")
        yield Case(
            line=1,
            collective=collective_of(program) or program,
            size=whole(str(result["size"])),
            latency=_latency(positive(str(measured["time"])), report, statistic),
            statistic=statistic,
            backend="nccl",
            dtype=dtype_of(str(result["type"])),
            op="" if op == "none" else op,
            in_place=side == "in_place",
            place=place,
            mode=mode_of({"graph": str(config.get("graph", 0))}, config.get("blocking_collectives") == "true"),
            calls=count(config["iterations"]) * count(config.get("aggregated_iterations") or 1),
            samples=len(_times(report)) or (1 if statistic == SLOWEST else None),
            warmups=whole(str(config["warmup_iters"])),
            wrong=None if wrong is None else wrongs(str(wrong)),
        )


def _times(report: Json) -> tuple[float, ...]:
    """The times of single calls that count, in microseconds."""
    times = tuple(positive(str(each)) for each in report.get("times_us") or ())
    return times[whole(str(report.get("skipped_iterations") or 0)) :]


def _latency(us: float, report: Json, statistic: str) -> Latency:
    """With the report over single calls (``-I 1``), these are of the slowest process; else there is one figure."""
    if not report:
        return Latency(us) if statistic == SLOWEST else Latency(mean=us)
    p50, least, most, p95, p99 = (positive(str(report[f"{name}_us"])) for name in ("p50", "min", "max", "p95", "p99"))
    return Latency(p50, None if statistic == SLOWEST else us, least, p95, p99, most, _times(report))
