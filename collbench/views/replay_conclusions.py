"""The conclusion of a replay in words: whose pass is shorter, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collbench.results.replays import ReplayRecord
from collbench.results.verdicts import FEWEST_LAUNCHES, Ratio, paired_ratio, unpaired_ratio
from collbench.tables import show_factor, show_us
from collbench.views import coverage
from collbench.views.comparison import default_baseline
from collbench.views.replay_sums import Figures, Summary, figures_of, summaries

ALONE, WITH = "communication", "step"  # the names of the two figures that are compared
AGAINST = {"faster": "is faster than", "slower": "is slower than", "unclear": "is indistinguishable from"}


@dataclass(frozen=True)
class PassRatio:
    """A ``figure`` of a pass, ALONE or WITH compute, of backend a and of the baseline b: microseconds as medians over
    launches, and the ratio a/b over them."""

    figure: str
    a: str
    b: str
    a_us: float
    b_us: float
    ratio: Ratio


def compared(records: Sequence[ReplayRecord], baseline: str = "") -> list[PassRatio]:
    """Every other backend of one setting with ``baseline``, or where that has no time with NCCL, else MPI, else the
    first by name. All ratios are judged together; a backend at fault has none."""
    timed = {each.backend: each for each in summaries(records) if each.communication_us is not None}
    base = timed.get(baseline) or timed.get(default_baseline(timed) or "")
    if base is None:
        return []
    known = [
        (figure, each, a_us, b_us)
        for figure in (ALONE, WITH)
        for each in timed.values()
        if each is not base and (a_us := _us(each, figure)) and (b_us := _us(base, figure))
    ]
    return [
        PassRatio(figure, each.backend, base.backend, a_us, b_us, _ratio(figure, each, base, records, len(known)))
        for figure, each, a_us, b_us in known
    ]


def _us(each: Summary, figure: str) -> float | None:
    return each.communication_us if figure == ALONE else each.step_us


def _ratio(figure: str, each: Summary, base: Summary, records: Sequence[ReplayRecord], together: int) -> Ratio:
    """By the launches in which both ran; if there are none, by all of each."""
    mine, its = (_launches(figures_of(side.backend, records), figure) for side in (each, base))
    shared = sorted(mine.keys() & its.keys())
    if not shared:
        return unpaired_ratio([*mine.values()], [*its.values()], together)
    return paired_ratio([mine[launch] for launch in shared], [its[launch] for launch in shared], together)


def _launches(known: Mapping[int, Figures], figure: str) -> dict[int, float]:
    return {launch: us for launch, each in known.items() if (us := getattr(each, figure)) is not None}


def conclusions(records: Sequence[ReplayRecord], baseline: str = "") -> list[str]:
    """A line for each comparison of one setting; where there is none, one for the only backend that has a time."""
    found = compared(records, baseline)
    alone = [each for each in summaries(records) if each.communication_us is not None][:1] if not found else []
    return [*(_line(each, records[0]) for each in found), *(_only(each, records[0]) for each in alone)]


def reading(found: Iterable[PassRatio]) -> list[str]:
    """How to read the lines of comparisons; [] for none."""
    ratios = [each.ratio for each in found]
    return coverage.reading(ratios, judged="ratios of a pass") if ratios else []


def _line(each: PassRatio, row: ReplayRecord) -> str:
    head, us = _what(each.figure, row), f"{show_us(each.a_us)} µs a {noun(row)} against {show_us(each.b_us)}"
    if each.ratio.launches < FEWEST_LAUNCHES:
        return f"{head}: {each.a} took {each.ratio.value:.2f}× the time of {each.b}, {us}; no verdict"
    return f"{head}: {each.a} {AGAINST[each.ratio.verdict]} {each.b}, {us}, {_factor(each.ratio)}"


def _factor(ratio: Ratio) -> str:
    """By how much, and its interval: above 1 whichever is faster, but both ends of the ratio where none is."""
    ends = [end for end in (ratio.low, ratio.high) if end is not None]
    if ratio.verdict == "unclear":
        return f"{ratio.value:.3f}× its time ({' to '.join(f'{end:.3f}' for end in ends)})"
    ends = sorted(1 / end if ratio.verdict == "faster" else end for end in ends)
    factor = 1 / ratio.value if ratio.verdict == "faster" else ratio.value
    return f"{show_factor(factor)}× ({' to '.join(map(show_factor, ends))})"


def noun(row: ReplayRecord) -> str:
    """What a pass of this kind is called."""
    return "step" if row.pass_kind == "decode" else "pass"


def _what(figure: str, row: ReplayRecord) -> str:
    if figure == ALONE:
        return "communication alone"
    return "with matrix products" if row.compute == "gemm" else "with spins"


def _only(each: Summary, row: ReplayRecord) -> str:
    step = f", {show_us(each.step_us)} µs {_what(WITH, row)}" if each.step_us is not None else ""
    us = f"{show_us(each.communication_us or 0.0)} µs of communication a {noun(row)}{step}"
    return f"{each.backend} takes {us}; no other backend has a time to compare it with"
