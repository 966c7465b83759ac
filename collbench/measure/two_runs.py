"""What two results files say of each other: whether their machines and options are the same, and which is older."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import product
from pathlib import Path

from collbench.measure import conditions
from collbench.measure.continuing import Facts, read_launches

Files = Sequence[Path]
Differ = Callable[[Facts, Facts], Iterable[str]]  # what differs between two launches, in words


def refusals(base: Files, candidate: Files) -> list[str]:
    """Why runs in these files cannot be compared: other processors or options. A file without a sidecar has none."""
    return _over(base, candidate, lambda then, now: [*conditions.processors(then, now), *_options(then, now)])


def other_libraries(base: Files, candidate: Files) -> list[str]:
    """The drivers and libraries that differ between the sides, in words."""
    return _over(base, candidate, lambda then, now: [*conditions.libraries(then, now)])


def are_swapped(base: Path, candidate: Path) -> bool:
    """Whether the candidate was measured before the base."""
    then, now = _started(base), _started(candidate)
    return bool(then and now and now < then)


def _started(path: Path) -> datetime | None:
    times = [datetime.fromisoformat(entry["started"]) for entry in read_launches(path) if entry.get("started")]
    return min(times, default=None)


def _options(then: Facts, now: Facts) -> list[str]:
    return conditions.changed_options({"sweep": then["sweep"]}, {"sweep": now["sweep"]})


def _over(base: Files, candidate: Files, differ: Differ) -> list[str]:
    """What differs between any two files of the two sides, by their first launches, without repeats."""
    entries = [[read_launches(path)[:1] for path in side] for side in (base, candidate)]
    found = (words for one, other in product(*entries) if one and other for words in differ(one[0], other[0]))
    return list(dict.fromkeys(found))
