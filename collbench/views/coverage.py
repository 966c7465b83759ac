"""What intervals over launches cover, in the words that stand at the foot of tables and charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collbench.results.verdicts import FEWEST_LAUNCHES, LIKE_THESE, Ratio, confidence_of, counted_launches

OTHER_RUNS = (
    "Runs differ beyond their launches (on GPUs by 0.4 to 0.7 % standard deviation, up to 3.9 %), which no interval\n"
    "here covers: a verdict needs more than 4 %."
)


def intervals(ratios: Iterable[Ratio], judged: str) -> list[str]:
    """How the intervals of these ratios are made, what they hold for and with what confidence: a sentence for pairs of
    launches and one for others; [] if there are no intervals. ``judged``: what is judged at once, such as ``sizes of a
    table``."""
    sure = [ratio for ratio in ratios if ratio.covers]
    kinds = ((True, "Student's t"), (False, "Welch's t, launches unpaired"))
    return [
        f"{test}, for {LIKE_THESE}; {_confidence([ratio.together for ratio in found], judged)}"
        for paired, test in kinds
        if (found := [ratio for ratio in sure if ratio.paired == paired])
    ]


def _confidence(together: Sequence[int], judged: str) -> str:
    """The confidence of all intervals that are judged at once, and of each."""
    if max(together) == 1:
        return "95 %"
    levels = dict.fromkeys(_percent(count) for count in (min(together), max(together)))
    return f"95 % for all {_span(together)} {judged} together, {' to '.join(levels)} % each"


def _percent(together: int) -> str:
    """The confidence of each of so many, with as many places as tell it from 100 %."""
    return f"{100 * confidence_of(together):.{max(2, len(str(together)))}f}"


def no_verdict(ratios: Iterable[Ratio]) -> str:
    """Of how many launches the ratios without a verdict are; "" if each has one, or none is missing."""
    few = [ratio.launches for ratio in ratios if not ratio.covers]
    return f"{_launches(few)}: no verdict" if few else ""


def _span(counts: Sequence[int]) -> str:
    return " to ".join(map(str, dict.fromkeys((min(counts), max(counts)))))


def _launches(counts: Sequence[int]) -> str:
    return counted_launches(counts[0]) if len(set(counts)) == 1 else f"{_span(counts)} launches"


def reading(ratios: Sequence[Ratio], fewest: int = FEWEST_LAUNCHES, judged: str = "sizes of a table") -> list[str]:
    """How to read a table of at least one ratio: what they are, what their intervals cover, and what is missing;
    ``fewest`` launches give all ratios an interval, and ``judged`` is what is judged at once."""
    few = no_verdict(ratios)
    return [
        f"Ratio: geometric mean over {_launches([ratio.launches for ratio in ratios])}.",
        *(f"Interval: {words}." for words in intervals(ratios, judged)),
        *([f"{few}, and no interval over launches; --launches {fewest} or more give both."] if few else []),
        *([OTHER_RUNS] if not all(ratio.paired for ratio in ratios) else []),
    ]
