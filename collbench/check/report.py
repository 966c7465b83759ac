"""A judgement in words and tables."""

from __future__ import annotations

from collections.abc import Sequence

from collbench.check.decision import Change, band_change
from collbench.check.judgement import FINAL, Judged, Judgement
from collbench.check.rule import ERROR, Verdict
from collbench.plan.sizes import format_size
from collbench.results.panels import Panel, panel_of, title_of
from collbench.tables import Column, Page, Table, counted, notes_of, numbers, show_us, table_of, words

BANDS = (("up to 64 KiB", 0, 64 << 10), ("128 KiB to 2 MiB", 64 << 10, 2 << 20), ("above 2 MiB", 2 << 20, 1 << 62))
WORST_FIRST = (Verdict.SLOWER, Verdict.MISSING, Verdict.UNCLEAR, Verdict.FASTER, Verdict.SAME)


def headline(found: Judgement) -> str:
    """The result in one line."""
    sides = f"{found.candidate} against {found.base}"
    if found.refusals:
        return f"{sides}: refused, since {found.refusals[0]}"
    if ill := [each for each in found.cases if any(row.status in FINAL for row in each.trial.rows)]:
        return f"{sides}: {_what(ill[0])} at {_of(ill, found)}"
    parts = [_counted(verdict, found) for verdict in WORST_FIRST if found.counts[verdict]]
    return f"{sides}: {'; '.join(parts)} (margin {show_percent(100 * found.margin)})"


def _what(each: Judged) -> str:
    statuses = {row.status for row in each.trial.rows}
    return "a hang" if "timeout" in statuses else "wrong results"


def _of(some: Sequence[Judged], found: Judgement) -> str:
    """How many of the cases these are, and their sizes if not all."""
    one_table = len({(panel_of(each.record), _backend(each, found)) for each in found.cases}) == 1
    number = f"{len(some)} of {counted(len(found.cases), 'size' if one_table else 'case')}"
    return f"{number} ({_sizes(some, found)})" if one_table and len(some) < len(found.cases) else number


def _sizes(some: Sequence[Judged], found: Judgement) -> str:
    """The sizes of these cases of one table, in ranges of those that are beside each other: ``4 KiB, 1 to 4 MiB``."""
    steps = sorted({each.record.bytes for each in found.cases})
    places = sorted({steps.index(each.record.bytes) for each in some})
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(_range(steps[run[0]], steps[run[-1]], len(run)) for run in runs)


def _range(first: int, last: int, number: int) -> str:
    names = [format_size(first), format_size(last)]
    return names[0] if number == 1 else (", " if number == 2 else " to ").join(names)


def _counted(verdict: Verdict, found: Judgement) -> str:
    some = [each for each in found.cases if each.finding.verdict is verdict]
    changes = [each.finding.change.value for each in some if each.finding.change]
    by = f", by {_span(changes)}" if verdict in (Verdict.SLOWER, Verdict.FASTER) and changes else ""
    return f"{verdict} at {_of(some, found)}{by}"


def _span(changes: Sequence[float]) -> str:
    """The smallest and the largest change, without signs: ``4.9 to 5.2 %``."""
    sizes = sorted(map(abs, changes))
    return f"{' to '.join(dict.fromkeys(f'{size:.1f}' for size in (sizes[0], sizes[-1])))} %"


def show_percent(value: float) -> str:
    """A percentage without needless digits: ``2 %``, ``0.5 %``."""
    return f"{value:.3g} %"


def page(found: Judgement) -> Page:
    """A table for each panel, how to read them, and the result."""
    tables = tuple(_table(group, found) for group in by_table(found).values())
    return Page(tables, notes_of([f"REFUSED: {words}." for words in found.refusals], _reading(found)), headline(found))


def by_table(found: Judgement) -> dict[tuple[Panel, str], list[Judged]]:
    """The cases of each table, by panel and, for files, by backend."""
    groups: dict[tuple[Panel, str], list[Judged]] = {}
    for each in found.cases:
        groups.setdefault((panel_of(each.record), _backend(each, found)), []).append(each)
    return groups


def _backend(each: Judged, found: Judgement) -> str:
    """The backend that both files have; "" where the sides are backends."""
    return "" if found.rule else each.record.backend


def _table(group: Sequence[Judged], found: Judgement) -> Table:
    backend = _backend(group[0], found)
    title = " · ".join(filter(None, (backend, title_of(group[0].record), f"{found.candidate} against {found.base}")))
    sides = (found.base, found.candidate) if found.rule else ("base", "candidate")
    columns: tuple[Column, ...] = (
        *numbers("size", *(f"{side} µs" for side in sides), "change %", "interval %"), *words("verdict"),
        *numbers("launches"),
    )  # fmt: skip
    return table_of(title, columns, map(_cells, group), _remarks(group, found), _bands(group, found))


def _cells(each: Judged) -> list[str]:
    finding = each.finding
    change = finding.change
    return [
        format_size(each.record.bytes), *(show_us(us) if us else "" for us in (finding.base_us, finding.candidate_us)),
        f"{change.value:+.2f}" if change else "", _interval(change), finding.verdict, str(finding.launches),
    ]  # fmt: skip


def _interval(change: Change | None) -> str:
    return f"{change.low:+.2f} to {change.high:+.2f}" if change else ""


def _remarks(group: Sequence[Judged], found: Judgement) -> list[str]:
    """Why verdicts are missing, and launches far from the others: a line for each reason."""
    reasons: dict[str, list[Judged]] = {}
    for each in group:
        if each.finding.reason:
            reasons.setdefault(f"{each.finding.verdict}: {' '.join(each.finding.reason.split())}", []).append(each)
        if each.finding.odd:
            launches = ", ".join(str(number + 1) for number in each.finding.odd)
            words = f"far from the other launches: {launches}; a mode that is rare may be missed"
            reasons.setdefault(words, []).append(each)
    return [f"- {_sizes(some, found)} {words}" for words, some in reasons.items()]


def _bands(group: Sequence[Judged], found: Judgement) -> list[str]:
    """The mean change of small, medium and large sizes, where launches are paired."""
    lines = []
    for name, above, until in BANDS if found.rule else ():
        band = [each.trial.series() for each in group if above < each.record.bytes <= until]
        change = band_change(band) if len(band) > 1 else None
        if change:
            lines.append(f"{name}: {change.value:+.2f} % ({_interval(change)}, for information)")
    return lines


def _reading(found: Judgement) -> list[str]:
    """How to read the tables."""
    margin, wrong = show_percent(100 * found.margin), show_percent(100 * ERROR)
    if found.rule is None:
        return [
            "Interval: Welch's t over runs or their launches. Runs differ beyond their launches, so that only changes "
            f"above {margin} are found, and the same is said from five runs a side on."
        ]
    looks = ", ".join(map(str, found.rule.looks))
    return [
        f"Interval: Student's t of the log ratio, for launches like these; looks at {looks} launches.",
        f"slower, faster: the change is beyond {margin}; same: it is within. Each is false in at most {wrong} of "
        "checks, over all sizes and looks.",
    ]


def plain(found: Judgement) -> dict[str, object]:
    """The judgement as JSON has it: percentages, microseconds; missing values are None."""
    return {
        "result": headline(found), "exit": int(found.code), "baseline": found.base, "candidate": found.candidate,
        "margin_percent": 100 * found.margin, "looks": list(found.rule.looks) if found.rule else None,
        "error": ERROR, "refusals": list(found.refusals), "next_look": found.next_look,
        "cases": [_plain(each) for each in found.cases],
    }  # fmt: skip


def _plain(each: Judged) -> dict[str, object]:
    finding, change = each.finding, each.finding.change
    names = ("collective", "backend", "dtype", "op", "bytes", "ranks", "nodes", "fabric", "mode", "in_place", "cache",
             "hidden", "groups", "skew")  # fmt: skip
    return {
        **{name: getattr(each.record, name) for name in names}, "base_us": finding.base_us,
        "candidate_us": finding.candidate_us, "change_percent": change and change.value,
        "low_percent": change and change.low, "high_percent": change and change.high,
        "margin_percent": finding.margin, "verdict": str(finding.verdict), "reason": each.finding.reason or None,
        "launches": finding.launches, "odd_launches": list(finding.odd),
    }  # fmt: skip
