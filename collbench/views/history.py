"""Series of nights as a table for each machine and panel, remarks on nights, and values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from collbench.plan.sizes import format_size
from collbench.results.panels import Panel, panel_of, title_of
from collbench.results.series import Point, Series, date_of
from collbench.results.trends import FEWEST, WINDOW
from collbench.results.verdicts import counted_launches
from collbench.tables import Page, Table, counted, notes_of, numbers, show_us, table_of, words

Effect = tuple[float, str]  # a relative change, and the case that it is of
Remark = tuple[str, str, Series]  # a date, what is to be said of it, and a case of which it is true
MOST_NAMES, MOST_LINES = 4, 10
READING = (
    f"A night is the median over its launches. Before: the lowest median of {WINDOW} consecutive earlier nights with",
    f"the same versions (of all while there are fewer, at least {FEWEST}). Slower: each of the last two nights is",
    "above it by more than the margin, which is larger where nights differ more. No verdict covers new versions.",
)


def page(series: Sequence[Series]) -> Page:
    """A table for each machine and panel with what is to be said of its nights, how to read them, and the result."""
    groups: dict[tuple[str, Panel], list[Series]] = {}
    for each in series:
        groups.setdefault((each.machine, panel_of(each.record)), []).append(each)
    tables = tuple(map(_table, groups.values()))
    return Page(tables, notes_of(READING), _result(series, names=len(tables) == 1))


def _result(series: Sequence[Series], names: bool) -> str:
    """The result in one line, with the ``names`` of slower cases where they are of one table."""
    judged, slower = sum(each.judgement is not None for each in series), losses(series)
    if not judged:
        return f"no verdict on any of {counted(len(series), 'case')}"
    if not slower:
        return f"none of {counted(judged, 'case')} with a verdict is slower"
    return f"slower: {len(slower)} of {counted(judged, 'case')} with a verdict{f' ({few(slower)})' if names else ''}"


def losses(series: Iterable[Series]) -> list[str]:
    """The slower cases, each with its change."""
    return [f"{name_of(each)} {signed(each.judgement.change)}" for each in series if each.is_slower and each.judgement]


def heading(series: Series) -> str:
    """What the cases of a table share: those of its panel, and the machine."""
    return " · ".join(filter(None, (title_of(series.record), series.machine)))


def name_of(series: Series) -> str:
    """Backend and size."""
    return f"{series.record.backend} {format_size(series.record.bytes)}"


def _table(group: Sequence[Series]) -> Table:
    columns = [
        *words("backend"), *numbers("size", "nights"), *words("first", "last"),
        *numbers("µs", "before µs", "change %", "margin %"), *words("verdict"),
    ]  # fmt: skip
    ordered = sorted(group, key=lambda each: (each.record.backend, each.record.bytes))
    return table_of(heading(group[0]), columns, map(_cells, ordered), *_remarks(ordered))


def _cells(series: Series) -> list[str]:
    timed, total, last = len(series.timed), len(series.timed) + len(series.untimed), series.points[-1]
    nights = str(timed) if timed == total else f"{timed} of {total}"
    us = show_us(last.us) if last.us is not None else last.case.status.upper()
    dates = [date_of(series.points[0]), date_of(last)]
    return [series.record.backend, format_size(series.record.bytes), nights, *dates, us, *_verdict(series)]


def _verdict(series: Series) -> list[str]:
    found = series.judgement
    if found is None:
        return ["", "", "", f"no verdict: {series.reason}"]
    change, margin = f"{100 * found.change:+.1f}", f"{100 * found.margin:.1f}"
    return [show_us(found.before_us), change, margin, found.trend.value]


def signed(change: float) -> str:
    """A relative change in per cent with its sign."""
    return f"{100 * change:+.1f} %"


def _remarks(series: Sequence[Series]) -> Iterator[list[str]]:
    """Lines on slower cases, changes of versions, nights without a point and nights with fewer launches than usual."""
    yield [f"- slower {since}: {few(losses(found))}" for since, found in _onsets(series).items()]
    yield _latest(f"- {change}; {_effect(effects)}" for change, effects in sorted(_effects(series).items()))
    yield _by_date((date_of(point), point.case.status, each) for each in series for point in each.untimed)
    yield _by_date((date_of(point), _fewer(each, point), each) for each in series for point in few_launches(each))


def _onsets(series: Iterable[Series]) -> dict[str, list[Series]]:
    """The slower cases by date and commits of their onset."""
    found: dict[str, list[Series]] = {}
    for each in series:
        if each.onset:
            found.setdefault(_since(*each.onset), []).append(each)
    return found


def _since(before: Point, first: Point) -> str:
    commits = dict.fromkeys(point.night.commit or "unknown" for point in (before, first))
    return f"since {date_of(first)}, commit{'s' * (len(commits) - 1)} {' → '.join(commits)}"


def _effects(series: Iterable[Series]) -> dict[str, list[Effect]]:
    """For each change of versions, with its date, what became of each case."""
    found: dict[str, list[Effect]] = {}
    for each in series:
        for change in each.changes:
            effect = (change.ratio - 1, name_of(each))
            found.setdefault(f"{date_of(change.point)}: {change.words}", []).append(effect)
    return found


def _effect(effects: Sequence[Effect]) -> str:
    """The smallest and the largest change that came with new versions."""
    ends = dict.fromkeys(pick(effects, key=lambda effect: effect[0]) for pick in (min, max))
    return f"medians after and before: {' to '.join(f'{signed(change)} ({name})' for change, name in ends)}"


def few_launches(series: Series) -> list[Point]:
    """The points of fewer launches than usual."""
    return [point for point in series.timed if point.launches < series.usual_launches]


def _fewer(series: Series, point: Point) -> str:
    return f"{counted_launches(point.launches)} instead of {series.usual_launches}"


def _by_date(remarks: Iterable[Remark]) -> list[str]:
    """A line for each date and sentence, with the cases of which it is true."""
    found: dict[tuple[str, str], list[Series]] = {}
    for date, what, series in remarks:
        found.setdefault((date, what), []).append(series)
    return _latest(f"- {date}: {what}: {_listed(each)}" for (date, what), each in sorted(found.items(), key=_key))


def _key(item: tuple[tuple[str, str], object]) -> tuple[str, str]:
    return item[0]


def _latest(lines: Iterable[str]) -> list[str]:
    """The last lines of many."""
    every = list(lines)
    left = len(every) - MOST_LINES
    return every if left <= 0 else [f"- {counted(left, 'earlier line')} left out", *every[left:]]


def _listed(series: Sequence[Series]) -> str:
    return few([name_of(each) for each in series])


def few(names: Sequence[str], noun: str = "case") -> str:
    """The names, or the first ones of many and how many others there are, called by ``noun``."""
    more = len(names) - MOST_NAMES
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:MOST_NAMES])} and {counted(more, f'more {noun}')}"


def plain(series: Series) -> dict[str, object]:
    """A series as JSON has it; missing values are None.

    ``last_us`` and ``before_us`` are in microseconds, ``change`` and ``margin`` fractions of ``before_us``; ``points``
    has a row for each night, in the order of ``time`` (ISO 8601, UTC), ``us`` None where there is no latency.
    """
    record, found = series.record, series.judgement
    names = ("collective", "dtype", "op", "bytes", "ranks", "nodes", "mode", "in_place", "hidden", "groups", "skew")
    return {
        **{name: getattr(record, name) for name in names}, "cache": record.cache, "backend": record.backend,
        "machine": series.machine or None, "versions": series.points[-1].versions, "nights": len(series.timed),
        "first": series.points[0].time.isoformat(), "last": series.points[-1].time.isoformat(),
        "last_us": series.points[-1].us, "before_us": found.before_us if found else None,
        "change": found.change if found else None, "margin": found.margin if found else None,
        "verdict": found.trend.value if found else None, "reason": series.reason or None,
        "points": [_plain_point(point) for point in series.points],
    }  # fmt: skip


def _plain_point(point: Point) -> dict[str, object]:
    return {
        "time": point.time.isoformat(), "file": str(point.night.path), "commit": point.night.commit or None,
        "us": point.us, "launches": point.launches, "status": point.case.status,
        "versions": point.versions,
    }  # fmt: skip
