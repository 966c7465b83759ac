"""The files of a report, by what is in them: cases of a run or of two, the same cases over time, and replays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import UsageError
from collbench.results import replays
from collbench.results.cases import Identity
from collbench.results.footing import level
from collbench.results.nights import Night, nights_of
from collbench.results.records import REPLAY, SAMPLES, Record, load, load_all, twice, without_samples
from collbench.results.replays import ReplayRecord
from collbench.results.selection import select
from collbench.views.runs import Run, facts_beside, load_runs

Conditions = Sequence[tuple[str, str]]
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Inputs:
    """What was given. ``runs``: one, or two that share cases; of more files that share cases, each case as the last
    night of its machine has it, and ``nights`` has them all. ``sources`` are the files of cases, ``replays`` those of
    `llm replay`."""

    runs: Sequence[Run]
    nights: Sequence[Night]
    sources: Sequence[Path]
    replays: Mapping[Path, Sequence[ReplayRecord]]

    @property
    def files(self) -> list[Path]:
        """All files."""
        return [*self.sources, *self.replays]

    @property
    def rows(self) -> int:
        """The rows of all files that were selected, of nights all."""
        replayed = sum(map(len, self.replays.values()))
        return replayed + sum(len(each.records) for each in (self.nights or self.runs))


def read_inputs(paths: Sequence[Path], only: Conditions, warn: Warn) -> Inputs:
    """The rows of these files, and of the files in these folders, that match the conditions ``only``.

    A sidecar that cannot be read, and what has to be left out of folders and nights, is a sentence for ``warn``. Raises
    UsageError for a file that is neither of cases nor of a replay, and where no row is left.
    """
    given = without_samples(dict.fromkeys(file for path in paths for file in _files(path, warn)))
    replayed = {path: replays.load(path) for path in given if _is_replay(path)}
    sources = [path for path in given if path not in replayed]
    if not sources and not replayed:
        raise UsageError(f"{paths[0]} has no results files; give files, or a folder with some.")
    if len(sources) > 2 and _overlap(sources):
        runs, nights = _over_time(sources, only, warn)
        return Inputs(runs, nights, sources, replayed)
    return Inputs(load_runs(sources, only, warn) if sources else (), (), sources, replayed)


def _files(path: Path, warn: Warn) -> list[Path]:
    """The path, or of a folder the results files that can be read."""
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.glob("*.csv") if not each.name.endswith(SAMPLES))
    return [each for each in found if _is_replay(each) or _can_be_read(each, warn)]


def _can_be_read(path: Path, warn: Warn) -> bool:
    try:
        load(path)
    except UsageError as error:
        warn(f"left out: {error}")
        return False
    return True


def _is_replay(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return REPLAY in file.readline().strip("\ufeff\r\n").split(",")
    except OSError:  # said where it is read
        return False


def _overlap(paths: Iterable[Path]) -> bool:
    """Whether two of these files have the same launch of the same case."""
    rows = ((str(path), record) for path in paths for record in load_all([path]))
    return twice((path, (row.launch, *row.identity)) for path, row in rows if not row.is_job) is not None


def _over_time(paths: Sequence[Path], only: Conditions, warn: Warn) -> tuple[list[Run], Sequence[Night]]:
    """Each case as the last night of its machine has it, as one run; and all nights. Raises UsageError where no file is
    a night."""
    found = nights_of(paths)
    for words in found.remarks:
        warn(words)
    if not found.nights:
        raise UsageError(f"none of {len(paths)} files is a night: {found.remarks[0]}")
    known = {night.machine for night in found.nights} - {""}
    usual = known.pop() if len(known) == 1 else ""
    latest: dict[tuple[str, Identity], tuple[Path, list[Record]]] = {}
    for night in found.nights:
        mine: dict[tuple[str, Identity], list[Record]] = {}
        for record in night.records:
            mine.setdefault((night.machine or usual, record.identity), []).append(record)
        latest |= {identity: (night.path, rows) for identity, rows in mine.items()}
    paths_of = [(row, path) for path, rows in latest.values() for row in rows]
    levelled = level([row for row, _ in paths_of])
    files = dict(zip(levelled, (path for _, path in paths_of), strict=True))
    return [Run(select(files, only), files, facts_beside(files, warn))], found.nights
