"""The table that nccl-tests, rccl-tests and mscclpp-test print: lines of devices, a heading, a row for each size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collbench.foreign.measured import Place
from collbench.foreign.source import Line
from collbench.foreign.words import whole

SIDES = ("out-of-place", "in-place")
_DEVICE = re.compile(
    r"(?:#\s+)?Rank\s+(?P<rank>\d+)(?:\s+Group\s+(?P<group>\d+))?(?:\s+Pid\s+(?P<pid>\d+))?\s+on\s+(?P<host>\S+)\s+"
    r"device\s+(?P<device>\d+)\s+\[[^\]]*\]\s*(?P<gpu>.*)"
)
_TIMESTAMP = re.compile(r"\s+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
_SIDE = re.compile("out-of-place|in-place")


@dataclass(frozen=True)
class Device:
    """A rank as the heading of a log lists it. ``pid`` and ``group`` are "" where it does not say."""

    rank: int
    host: str
    gpu: str
    pid: str = ""
    group: str = ""


def device_of(text: str) -> Device | None:
    """The rank that a line lists; None for another line."""
    match = _DEVICE.match(text)
    if match is None:
        return None
    return Device(int(match["rank"]), match["host"], match["gpu"].strip(), match["pid"] or "", match["group"] or "")


def place_of(devices: Sequence[Device], in_process: int) -> Place:
    """Where these ranks are. Processes of ``in_process`` ranks each may list the first ones only, since a tool prints
    2 KiB of devices a process."""
    if not devices:
        return Place()
    processes = {(device.host, device.pid) for device in devices if device.pid}
    listed = len({device.rank for device in devices})
    groups = len({device.group for device in devices})
    total = max(listed, len(processes) * in_process)
    hosts = {device.host for device in devices if device.group == devices[0].group}
    each = _even([device for device in devices if device.group == devices[0].group], total == listed)
    per_node = each or (
        total // groups // len(hosts) if total > listed and total % (groups * len(hosts)) == 0 else None
    )
    return Place(total // groups, len(hosts), per_node, groups if groups > 1 else None)


def _even(devices: Iterable[Device], complete: bool) -> int | None:
    """The number of ranks on each host, where all have as many."""
    counts: dict[str, int] = {}
    for device in devices:
        counts[device.host] = counts.get(device.host, 0) + 1
    found = set(counts.values())
    return found.pop() if complete and len(found) == 1 else None


def ranks_of(devices: Iterable[Device], **more: str) -> list[dict[str, Any]]:
    """The ranks as the sidecar has them; ``more`` are further facts of each GPU, those without a value left out."""
    known = {name: value for name, value in more.items() if value}
    return [
        {"rank": each.rank, "host": each.host, "gpu": {"kind": "gpu", "name": each.gpu, **known}} for each in devices
    ]


@dataclass(frozen=True)
class Columns:
    """The heading of a table: the columns before the first time, and those of each side, in the order of the sides."""

    before: tuple[str, ...]
    sides: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def scale(self) -> float:
        """Microseconds in the unit of times: nccl-tests before 2018 printed milliseconds."""
        return 1000.0 if self.before[0] == "bytes" else 1.0


def columns_of(text: str, above: str) -> Columns | None:
    """The columns that a line heads; None for another line, and for two tables side by side. ``above``, the line above
    it, names the sides."""
    words = text.lower().removeprefix("#").split()
    starts = [place for place, word in enumerate(words) if word in ("time", "cputime")]
    if not 0 < len(starts) <= len(SIDES) or words[0] not in ("size", "bytes") or "algbw" not in words:
        return None
    words = [word for word in words if word != "timestamp"]
    ends = [*starts[1:], len(words)]
    names = _SIDE.findall(above) if len(_SIDE.findall(above)) == len(starts) else list(SIDES[: len(starts)])
    blocks = [tuple(words[start:end]) for start, end in zip(starts, ends, strict=True)]
    return Columns(tuple(words[: starts[0]]), tuple(zip(names, blocks, strict=False)))


@dataclass(frozen=True)
class Row:
    """A row: size and count, the words between them and the times, and the cells of each side that it has, by name."""

    line: int
    size: int
    count: int
    words: tuple[str, ...]
    sides: Mapping[str, Mapping[str, str]]


def row_of(line: Line, columns: Columns, may_lack: bool) -> Row | None:
    """The row in a line; None for a line that is none, or is damaged. ``may_lack``: the cells of all sides but the last
    may be empty."""
    cells = _TIMESTAMP.sub("", line.text).split()
    sides = list(columns.sides)
    width = sum(len(names) for _, names in sides)
    if may_lack and len(cells) <= 2 + len(sides[-1][1]) + len(columns.before) - 2:
        sides, width = sides[-1:], len(sides[-1][1])
    words = len(cells) - 2 - width
    if not 0 <= words <= len(columns.before) - 2 or (len(columns.before) > 2 and words == 0):
        return None
    try:
        size, count = whole(cells[0]), whole(cells[1])
    except ValueError:
        return None
    found, at = {}, 2 + words
    for name, names in sides:
        found[name] = dict(zip(names, cells[at : at + len(names)], strict=True))
        at += len(names)
    return Row(line.number, size, count, tuple(cells[2 : 2 + words]), found)
