"""What a site takes: limits of nodes, time and jobs by partition or quality of service, checked before submission."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collbench.errors import UsageError, pick
from collbench.tables import counted

KEYS: dict[str, type] = {
    "partition": str, "qos": str, "source": str, "nodes": int, "min_nodes": int, "time": str, "min_time": str,
    "node_minutes": int, "gpus": int, "jobs": int, "up_to_nodes": int,
}  # fmt: skip
_KINDS = {str: "a string of at least one character", int: "a positive integer"}
_TIMES = {"time": "seconds", "min_time": "min_seconds"}
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class Limit:
    """What a site takes of jobs in ``partition`` and of quality of service ``qos`` (None: of any): numbers of nodes,
    seconds, node-minutes and GPUs of one job, and ``jobs`` of one user at a time; None without such a limit. With
    ``up_to_nodes`` it concerns jobs of no more nodes. ``source`` is the site's document."""

    source: str
    partition: str | None = None
    qos: str | None = None
    nodes: int | None = None
    min_nodes: int | None = None
    seconds: int | None = None
    min_seconds: int | None = None
    node_minutes: int | None = None
    gpus: int | None = None
    jobs: int | None = None
    up_to_nodes: int | None = None


@dataclass(frozen=True)
class Wish:
    """What is asked of the site for the jobs of one node count: ``partition``, ``qos`` and ``time`` as they are given,
    None if neither the user nor the profile gives one; ``jobs`` is the number of all jobs of the submission."""

    partition: str | None
    qos: str | None
    time: str | None
    nodes: int
    gpus: int
    jobs: int


def read(path: Path, contents: Sequence[object]) -> tuple[Limit, ...]:
    """The limits in the tables [[limits]] of a profile. Raises UsageError."""
    return tuple(_limit(f"{path}: limit {number}", content) for number, content in enumerate(contents, 1))


def _limit(where: str, content: object) -> Limit:
    if not isinstance(content, dict) or not content.get("source"):
        raise UsageError(f"{where} names no source; give the site's document, such as source = 'handbook, 2026-06'.")
    for key, value in content.items():
        wanted = KEYS[pick(f"key in {where}", key, KEYS)]
        if type(value) is not wanted or not value or str(value).startswith("-"):
            raise UsageError(f"{where}: {key} = {value!r} is not {_KINDS[wanted]}.")
    values: dict[str, Any] = {key: value for key, value in content.items() if key not in _TIMES}
    for key in _TIMES.keys() & content.keys():
        values[_TIMES[key]] = seconds_of(content[key])
        if not values[_TIMES[key]]:
            raise UsageError(f"{where}: {key} = {content[key]!r} is not a time; write HH:MM:SS.")
    return Limit(**values)


def seconds_of(text: str) -> int | None:
    """The seconds of a time limit of Slurm: minutes, MM:SS, HH:MM:SS, DAYS-HH, DAYS-HH:MM or DAYS-HH:MM:SS; None if it
    is none."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    days, *parts = (int(part or 0) for part in found.groups())
    if found[1] is not None or found[4] is not None:
        hours, minutes, seconds = parts
    else:
        hours, minutes, seconds = 0, parts[0], parts[1]
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def check(limits: Sequence[Limit], wish: Wish) -> None:
    """Raise UsageError, with the limit and its source, if the site would refuse such jobs, or never run them."""
    for limit in limits:
        if _concerns(limit, wish) and (words := _excess(limit, wish)):
            raise UsageError(f"{words}{_origin(limit)}; change it, or use another --partition or --qos.")


def crowd(limits: Sequence[Limit], wish: Wish, mine: Callable[[str | None, str | None], int]) -> str | None:
    """The limit, with its source, that such jobs exceed together with the user's jobs that wait or run, None if there
    is none; ``mine`` returns the number of those in a partition and of a quality of service."""
    for limit in limits:
        if limit.jobs is None or not _concerns(limit, wish):
            continue
        held = mine(limit.partition, limit.qos)
        if held + wish.jobs > limit.jobs:
            jobs = f"{counted(held, 'job')} of yours {'waits or runs' if held == 1 else 'wait or run'}"
            return (
                f"{jobs}; with {wish.jobs} more they are more than the site takes: up to {limit.jobs}{_origin(limit)}"
            )
    return None


def _concerns(limit: Limit, wish: Wish) -> bool:
    if _more(wish.nodes, limit.up_to_nodes):
        return False
    return limit.partition in (None, wish.partition) and limit.qos in (None, wish.qos)


def _more(one: int, other: int | None) -> bool:
    return other is not None and one > other


def _origin(limit: Limit) -> str:
    """Where the limit holds, and its source."""
    named: Mapping[str, str | None] = {"partition": limit.partition, "qos": limit.qos}
    place = " and ".join(f"{name} {value}" for name, value in named.items() if value)
    return f"{' in ' if place else ''}{place} ({limit.source})"


def _excess(limit: Limit, wish: Wish) -> str | None:
    """What the jobs ask too much or too little of."""
    seconds = seconds_of(wish.time) if wish.time else None
    minutes = None if seconds is None else wish.nodes * seconds // 60
    job = f"a job of {counted(wish.nodes, 'node')}"
    asked = (
        (job, wish.nodes, limit.min_nodes, limit.nodes),
        (f"--time {wish.time}", seconds, limit.min_seconds, limit.seconds),
        (f"{job} for {wish.time}, {minutes} node-minutes,", minutes, None, limit.node_minutes),
        (f"a job of {wish.gpus} GPUs", wish.gpus, None, limit.gpus),
        (f"submitting {counted(wish.jobs, 'job')} at once", wish.jobs, None, limit.jobs),
    )
    return next((words for what, *values in asked if (words := _beyond(what, *values))), None)


def _beyond(what: str, asked: int | None, least: int | None, most: int | None) -> str | None:
    """The sentence for what is asked, unless it lies within both bounds."""
    show = clock if what.startswith("--time") else str
    if asked is not None and most is not None and asked > most:
        return f"{what} is more than the site takes: up to {show(most)}"
    if asked is not None and least is not None and asked < least:
        return f"{what} is less than the site takes: from {show(least)}"
    return None


def clock(seconds: int) -> str:
    """Seconds as HH:MM:SS."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
