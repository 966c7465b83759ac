"""Latency ratios between two backends of one run, or between two runs, with intervals and verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from collbench.errors import UsageError, pick
from collbench.results.best import Best, best_of, check_name, family_of, members
from collbench.results.cases import LATENCY, CaseResult, cases, median_over
from collbench.results.footing import kinds_of, unlike
from collbench.results.mismatch import mismatch_of
from collbench.results.pairs import pairs, ratio_between, ratio_within
from collbench.results.panels import panel_of
from collbench.results.records import Record
from collbench.results.verdicts import Ratio

BASELINES = ("nccl", "mpi")
Key = tuple[object, ...]
Side = Mapping[Key, CaseResult]  # the cases of one side, by the key that both sides share
Match = tuple[str, str, CaseResult | None, CaseResult | None]  # the names of two sides and their cases of one problem
Judge = Callable[[str, str, CaseResult, CaseResult, int], "Comparison"]  # the number: how many are judged together


@dataclass(frozen=True)
class Comparison:
    """One case on two sides. ``record`` is a row of side a; medians over launches are in microseconds; ``mismatch`` is
    why the ratio is not meaningful, or ""; ``best`` are the sides that are the best of a family, with their choice;
    ``rows`` those of both sides, and ``kinds`` what the latency of each is, in words."""

    record: Record
    a: str
    b: str
    a_us: float
    b_us: float
    ratio: Ratio
    mismatch: str = ""
    best: tuple[Best, ...] = ()
    rows: tuple[Record, ...] = ()
    kinds: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Unjudged:
    """One case without a verdict: a side has no latency, or no rows and is then None."""

    a: str
    b: str
    a_case: CaseResult | None
    b_case: CaseResult | None

    @property
    def record(self) -> Record:
        """A row of the case, for the columns that both sides share."""
        return next(case.record for case in (self.a_case, self.b_case) if case)

    @property
    def without(self) -> list[tuple[str, CaseResult]]:
        """Names and cases of the sides that ran without a latency."""
        sides = ((self.a, self.a_case), (self.b, self.b_case))
        return [(name, case) for name, case in sides if case and not case.timed]


@dataclass(frozen=True)
class Comparisons:
    """The cases with a latency on both sides; those without one on a side; and ``alone``, of two files, those that were
    timed in one and have no rows in the other."""

    judged: tuple[Comparison, ...]
    unjudged: tuple[Unjudged, ...] = ()
    alone: tuple[Unjudged, ...] = ()

    @property
    def records(self) -> list[Record]:
        """The rows of the cases with a latency on both sides."""
        return [row for each in self.judged for row in each.rows]


def default_baseline(names: Iterable[str]) -> str | None:
    """The baseline among ``names``: NCCL, else MPI, else the first by name; None if there are none."""
    have = sorted(names)
    return next((name for name in BASELINES if name in have), have[0] if have else None)


def _within(a: str, b: str, mine: CaseResult, theirs: CaseResult, together: int) -> Comparison:
    """Compare two backends of one file, by the launches in which both ran, if there are any."""
    found = pairs(mine, theirs)
    left, right = [row for row, _ in found] or list(mine.timed), [row for _, row in found] or list(theirs.timed)
    return _comparison(a, b, left, right, ratio_within(mine, theirs, together))


def _between(a: str, b: str, mine: CaseResult, theirs: CaseResult, together: int) -> Comparison:
    """Compare two runs, whose launches are independent."""
    return _comparison(a, b, list(mine.timed), list(theirs.timed), ratio_between(mine, theirs, together))


def _comparison(a: str, b: str, mine: list[Record], theirs: list[Record], found: Ratio) -> Comparison:
    words = mismatch_of([*((a, record) for record in mine), *((b, record) for record in theirs)])
    words = words or unlike(a, mine, b, theirs)
    a_us, b_us = (median_over(side, LATENCY) or 0.0 for side in (mine, theirs))
    kinds = (kinds_of(mine), kinds_of(theirs))
    return Comparison(mine[0], a, b, a_us, b_us, found, words, rows=(*mine, *theirs), kinds=kinds)


def _is_missed(mine: CaseResult | None, theirs: CaseResult | None) -> bool:
    """Whether to report a case without a ratio: a side is bad, or both have rows and not both were skipped."""
    if all(case and case.timed for case in (mine, theirs)):
        return False
    have = [case for case in (mine, theirs) if case]
    return any(case.is_bad for case in have) or (len(have) == 2 and any(case.status != "skipped" for case in have))


def _is_alone(mine: CaseResult | None, theirs: CaseResult | None) -> bool:
    """Whether a case was timed on one side and has no rows on the other."""
    return None in (mine, theirs) and any(case and case.timed for case in (mine, theirs))


def _collected(matches: Iterable[Match], judge: Judge) -> Comparisons:
    """Judge the cases with a latency on both sides, those of each panel and pair together."""
    sides = list(matches)
    both = [(a, b, mine, theirs) for a, b, mine, theirs in sides if mine and mine.timed and theirs and theirs.timed]
    tables = [(panel_of(mine.timed[0]), a, b) for a, b, mine, _ in both]
    sizes = Counter(tables)
    judged = tuple(judge(*match, sizes[table]) for match, table in zip(both, tables, strict=True))
    missed = (match for match in sides if _is_missed(*match[2:]))
    return Comparisons(judged, tuple(Unjudged(*match) for match in missed))


def names_of(backends: str | Sequence[str]) -> tuple[str, ...]:
    """Names of backends, from a string with commas or a sequence of such strings."""
    words = backends.split(",") if isinstance(backends, str) else backends
    return tuple(name for word in words if (name := word.strip()))


def _backends(records: Iterable[Record]) -> set[str]:
    return {record.backend for record in records if not record.is_job}


def compare_backends(records: Sequence[Record], names: Sequence[str] = ()) -> Comparisons:
    """Compare the two backends in ``names`` case by case; without ``names``, every other backend with the baseline,
    except backends that were skipped in all cases. ``best(FAMILY)`` names the best of a family of backends."""
    for name in names:
        check_name(name, _backends(records))
    if len(names) not in (0, 2):
        raise UsageError(f"a comparison needs two backends, A,B, not {len(names)}.")
    sides: dict[str, dict[Key, CaseResult]] = {}
    for case in cases(records):
        sides.setdefault(case.record.backend, {})[case.record.identity[:-1]] = case
    ran = {name for name, side in sides.items() if any(case.status != "skipped" for case in side.values())}
    best = {name: _best_side(name, sides) for name in names if family_of(name)}
    sides |= {name: {key: each.case for key, each in side.items()} for name, side in best.items()}
    base = names[1] if names else default_baseline(ran) or ""
    matches = (
        (name, base, sides[name].get(key), sides[base].get(key))
        for name in (names[:1] or sorted(ran - {base}))
        for key in _either(sides[name], sides[base])
    )
    found = _collected(matches, _within)
    return replace(found, judged=tuple(_with_choices(row, best) for row in found.judged)) if best else found


def compare_with(records: Sequence[Record], baseline: str = "") -> Comparisons:
    """Compare every other backend with ``baseline``, which may be the best of a family; as `compare_backends` without
    names where it is "". Raises UsageError where there is none of this name."""
    if not baseline:
        return compare_backends(records)
    check_name(baseline, _backends(records))
    others = {case.record.backend for case in cases(records) if case.status != "skipped"} - {baseline}
    found = [compare_backends(records, (name, baseline)) for name in sorted(others)]
    judged, unjudged = (tuple(row for each in found for row in getattr(each, side)) for side in ("judged", "unjudged"))
    return Comparisons(judged, unjudged)


def _best_side(name: str, sides: Mapping[str, Side]) -> dict[Key, Best]:
    """The best of a family of backends for each problem that one of them has rows of."""
    found: dict[Key, list[CaseResult]] = {}
    for member in members(family_of(name) or "", sides):
        for key, case in sides[member].items():
            found.setdefault(key, []).append(case)
    return {key: best_of(name, family) for key, family in found.items()}


def _with_choices(row: Comparison, best: Mapping[str, Mapping[Key, Best]]) -> Comparison:
    return replace(row, best=tuple(side[row.record.identity[:-1]] for side in best.values()))


def compare_files(a: Sequence[Record], b: Sequence[Record], names: Sequence[str] = ()) -> Comparisons:
    """Compare file a with file b case by case; with ``names``, these backends only."""
    for name in names:
        if family_of(name):
            raise UsageError(f"{name} is chosen among the backends of one file; of two files, name backends.")
        pick("backend", name, _backends([*a, *b]))
    mine, theirs = ({case.record.identity: case for case in cases(side)} for side in (a, b))
    keys = [key for key in _either(mine, theirs) if not names or key[-1] in names]
    sides = [(f"{key[-1]} (A)", f"{key[-1]} (B)", mine.get(key), theirs.get(key)) for key in keys]
    alone = tuple(Unjudged(*each) for each in sides if _is_alone(*each[2:]))
    return replace(_collected(sides, _between), alone=alone)


def _either(mine: Side, theirs: Side) -> list[Key]:
    return list(dict.fromkeys((*mine, *theirs)))
