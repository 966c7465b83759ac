"""Selection in two rounds: finalists are measured again in new launches, and one may then replace the default.

The fastest of many equal candidates looks faster than it is, so the first round only selects the finalists.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collbench.plan.problem import Case, Problem, case_identity
from collbench.plan.sizes import format_size
from collbench.results.cases import CaseResult, cases
from collbench.results.pairs import pairs
from collbench.results.panels import title_of
from collbench.results.records import Record
from collbench.results.statistics import CONFIDENCE, mean_interval
from collbench.tables import Page, Table, notes_of, numbers, show_us, table_of, words

MARGIN = 0.02  # a candidate replaces the default only if it is faster by more than this
Field = Mapping[Problem, tuple[str, ...]]  # the candidates for each problem, the default first


@dataclass(frozen=True)
class Verdict:
    """The result of the finals of one problem. ``record`` is a row of the default; medians are in microseconds.

    ``ratio`` is the latency of the best finalist over that of the default; its interval is over launches.
    """

    record: Record
    best: str
    default_us: float
    best_us: float
    ratio: float
    low: float
    high: float
    launches: int

    @property
    def replaces(self) -> bool:
        """Whether the best finalist replaces the default: its whole interval is below 1 - ``MARGIN``."""
        return self.high < 1 - MARGIN

    @property
    def words(self) -> str:
        """The decision as text."""
        return "replaces the default" if self.replaces else "default kept"


def finalists(field: Field, records: Iterable[Record], count: int) -> Field:
    """The default and the ``count`` fastest other candidates of each problem, by one launch; problems in which the
    default or all others have no latency are omitted."""
    us = {case.record.identity: us for case in cases(records) if (us := case.median()) is not None}
    found: dict[Problem, tuple[str, ...]] = {}
    for problem, names in field.items():
        times = {name: us[key] for name in names if (key := case_identity(Case(problem, name))) in us}
        default, *others = names
        best = sorted((name for name in others if name in times), key=lambda name: times[name])[:count]
        if default in times and best:
            found[problem] = (default, *best)
    return found


def verdicts(field: Field, records: Iterable[Record], launches: int) -> list[Verdict]:
    """Each problem's best finalist against its default; problems whose default lacks a launch are omitted."""
    whole = {case.record.identity: case for case in cases(records) if len(case.timed) == launches}
    found = []
    for problem, names in field.items():
        default, *others = (whole.get(case_identity(Case(problem, name))) for name in names)
        if default:
            rivals = [_judge(default, rival, len(others)) for rival in others if rival]
            found += [_best(rivals)] if rivals else []
    return found


def _best(rivals: Sequence[Verdict]) -> Verdict:
    """The fastest finalist that replaces the default, else the fastest."""
    return min(rivals, key=lambda verdict: (not verdict.replaces, verdict.ratio))


def _judge(default: CaseResult, rival: CaseResult, rivals: int) -> Verdict:
    """One finalist against the default, over at least two launches.

    The interval is Student's, of the mean over launches of the log ratio of the medians in a launch: a launch is one
    replicate, pairing removes what its cases share, and medians of many samples are close to normal. Five launches
    allow no distribution-free interval at 95 % (which needs six), and a launch that is an outlier widens this one,
    which keeps the default. The confidence level is corrected for the number of finalists (Bonferroni), since the best
    is selected.
    """
    found = pairs(rival, default)
    logs = [
        math.log(mine.latency_us_median / theirs.latency_us_median)
        for mine, theirs in found
        if mine.latency_us_median and theirs.latency_us_median
    ]
    low, high = mean_interval(logs, 1 - (1 - CONFIDENCE) / rivals)
    middle = math.fsum(logs) / len(logs)
    return Verdict(
        record=default.record,
        best=rival.record.backend,
        default_us=default.median() or 0.0,
        best_us=rival.median() or 0.0,
        ratio=math.exp(middle),
        low=math.exp(low),
        high=math.exp(high),
        launches=len(logs),
    )


def page(found: Sequence[Verdict]) -> Page:
    """A table for each panel, by size, and how to read the intervals."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in found:
        groups.setdefault(title_of(verdict.record), []).append(verdict)
    caution = _caution(found) if found else "No candidate could be compared with the default."
    return Page(tuple(_table(title, groups[title]) for title in sorted(groups)), notes_of([caution]))


def _table(title: str, group: Iterable[Verdict]) -> Table:
    columns = [
        *numbers("size", "default µs"), *words("best other"), *numbers("µs", "ratio", "95 % interval"),
        *words("decision"),
    ]  # fmt: skip
    return table_of(title, columns, map(_row, sorted(group, key=lambda verdict: verdict.record.bytes)))


def _row(each: Verdict) -> list[str]:
    numbers_of_best = [show_us(each.best_us), f"{each.ratio:.3f}", f"{each.low:.3f} to {each.high:.3f}"]
    return [format_size(each.record.bytes), show_us(each.default_us), each.best, *numbers_of_best, each.words]


def _caution(found: Sequence[Verdict]) -> str:
    launches = min(verdict.launches for verdict in found)
    return (
        f"Intervals are over {launches} new launches, simultaneous for all finalists; the default is replaced where "
        f"the interval is below {1 - MARGIN:.2f}."
    )


def plain(found: Iterable[Verdict]) -> list[dict[str, object]]:
    """A dictionary for each verdict, for JSON; latencies are in microseconds."""
    return list(map(_plain, found))


def _plain(verdict: Verdict) -> dict[str, object]:
    names = ("collective", "dtype", "op", "bytes", "ranks", "nodes", "fabric", "mode", "hidden")
    case = {name: getattr(verdict.record, name) for name in names}
    rest = {key: value for key, value in dataclasses.asdict(verdict).items() if key != "record"}
    return {**case, "default": verdict.record.backend, **rest, "decision": verdict.words}
