"""The runs that a chart shows: one, or two of which the second came after a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collbench.errors import UsageError
from collbench.results.facts import Facts, facts_of, facts_of_rows
from collbench.results.footing import level_sides
from collbench.results.records import Record, load_all, twice, without_samples
from collbench.results.selection import select

Conditions = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Run:
    """Rows of one run, or of several that share no case; the file and the facts of each row, where they are known."""

    records: Sequence[Record]
    files: Mapping[Record, Path] = field(default_factory=dict)
    facts: Mapping[Record, Facts] = field(default_factory=dict)


def load_runs(paths: Sequence[Path], only: Conditions, warn: Callable[[str], None]) -> list[Run]:
    """The rows of these files that match the conditions ``only``: as two runs, before and after, if there are two files
    and they share a case; else together as one.

    A sidecar that cannot be read is left out, with a sentence for ``warn``. Raises UsageError as
    `load_all` and `select` do.
    """
    given = without_samples(dict.fromkeys(paths))
    parts = [[path] for path in given] if len(given) == 2 and _share_a_case(*given) else [given]
    loaded = [load_all(part) for part in parts]
    levelled = level_sides([list(files) for files in loaded])
    files = [dict(zip(rows, each.values(), strict=True)) for rows, each in zip(levelled, loaded, strict=True)]
    return [_run(each, only, warn) for each in files]


def _share_a_case(before: Path, after: Path) -> bool:
    rows = ((str(path), record) for path in (before, after) for record in load_all([path]))
    return twice((path, (row.launch, *row.identity)) for path, row in rows if not row.is_job) is not None


def _run(files: Mapping[Record, Path], only: Conditions, warn: Callable[[str], None]) -> Run:
    return Run(select(files, only), files, facts_beside(files, warn))


def facts_beside(files: Mapping[Record, Path], warn: Callable[[str], None]) -> dict[Record, Facts]:
    """The facts of each row, given its file, from the sidecars; a row without any is left out. A sidecar that cannot be
    read is a sentence for ``warn``."""
    rows: dict[Path, list[Record]] = {}
    for row, path in files.items():
        rows.setdefault(path, []).append(row)
    found: dict[Record, Facts] = {}
    for path, some in rows.items():
        try:
            facts = facts_of_rows(path, ((row.launch, row.backend, row.run_id) for row in some))
        except UsageError as error:
            warn(f"{error}")
        else:
            found |= {row: each for row, each in zip(some, facts, strict=True) if each}
    return found


def known_facts(results: Path, warn: Callable[[str], None]) -> Mapping[int, Facts]:
    """The facts of each launch of a results file; {} where its sidecar cannot be read, which is a sentence
    for ``warn``."""
    try:
        return facts_of(results)
    except UsageError as error:
        warn(f"{error}")
        return {}
