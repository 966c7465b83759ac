"""Judgements of rows that were measured before: of a check, and of runs at different times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collbench.check.gate import Gate
from collbench.check.history import MARGIN
from collbench.check.judgement import Judgement, judge_files
from collbench.check.trials import trials_between
from collbench.errors import UsageError
from collbench.measure import two_runs
from collbench.measure.continuing import read_launches
from collbench.results.footing import TOOL
from collbench.results.records import Record, load
from collbench.views.naming import readable


def goal_of(path: Path) -> Mapping[str, Any]:
    """The rule and the sides of a check, from its sidecar; empty where the file is of no check. Raises UsageError for a
    sidecar that cannot be read."""
    launches = read_launches(path)
    found = launches[-1].get("goal") if launches else None
    return found if isinstance(found, dict) and found.get("candidate") else {}


def check_in(path: Path) -> Judgement:
    """The judgement of a check that was measured before. Raises UsageError for a file of no check."""
    records = _judged_rows(path)
    try:
        gate = Gate.of_facts(goal_of(path))
    except (LookupError, TypeError, ValueError):
        raise UsageError(f"{path} is not of a check; give BASE.csv CANDIDATE.csv, or use collbench compare.") from None
    if (found := gate.judge(records)) is None:
        raise UsageError(f"{path} has no rows of {gate.base} and {gate.candidate}.")
    return found


def judge_between(
    base: Sequence[Path],
    candidate: Sequence[Path],
    backends: tuple[str, str] | None = None,
    margin: float | None = None,
) -> Judgement:
    """The judgement of the candidate's runs against the base's, of all cases that both have, or of ``backends``. Raises
    UsageError where no case is on both sides, or has launches enough."""
    sides = [[_judged_rows(path) for path in side] for side in (base, candidate)]
    trials = trials_between(sides[0], sides[1], backends)
    if not any(trial.base and trial.candidate for trial in trials):
        raise UsageError("no case is on both sides; collbench list and --baseline, --candidate name backends.")
    names = (_named(base), _named(candidate))
    return judge_files(trials, names, margin or MARGIN, two_runs.refusals(base, candidate))


def _judged_rows(path: Path) -> list[Record]:
    """The rows of a file. Raises UsageError for those of other tools: their latencies are of other kinds, and their
    sidecar lacks the conditions under which runs may be compared."""
    records = load(path)
    if any(TOOL in row.param for row in records):
        raise UsageError(f"{path} has rows that another tool measured, which check does not judge; use compare.")
    return records


def _named(paths: Sequence[Path]) -> str:
    """One side in words."""
    first = readable(paths[0].stem)
    return first if len(paths) == 1 else f"{first} ... ({len(paths)} runs)"
