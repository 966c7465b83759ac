"""Marks of the fastest backends, alike in tables and maps, and how to read them.

``≈``: others may be as fast. ``?``: launches are too few for a verdict here, though not elsewhere in the table or map;
where they are too few everywhere, nothing is marked, and the heading says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from collbench.results.pairs import Fastest
from collbench.results.verdicts import Ratio
from collbench.views import coverage


def has_verdicts(found: Iterable[Fastest]) -> bool:
    """Whether launches are enough for a verdict on any of these, or none has rivals."""
    contests = [each for each in found if each.rivals]
    return not contests or not all(each.is_guess for each in contests)


def mark(found: Fastest, among_verdicts: bool) -> str:
    """The mark of the fastest: ``≈``, ``?`` or ""."""
    if found.is_guess:
        return "?" if among_verdicts else ""
    return "≈" if found.ties else ""


def ratios_of(found: Iterable[Fastest]) -> list[Ratio]:
    """The ratios behind these."""
    return [ratio for each in found for ratio in each.ratios]


def heading(found: Collection[Fastest], usual: str) -> str:
    """The heading of the fastest: ``usual``, or where there are no verdicts, that they have but the lowest median."""
    return usual if has_verdicts(found) else f"lowest median ({coverage.no_verdict(ratios_of(found))})"


def reading(found: Iterable[Fastest], whole: str, tied: str, unsure: str) -> list[str]:
    """How verdicts were reached, for the foot: a sentence for each kind of interval, then one for missing verdicts.

    ``whole`` is what is judged together, such as a table; ``tied`` and ``unsure`` are the marks as drawn.
    """
    ratios = ratios_of(found)
    few = coverage.no_verdict(ratios)
    sure = [f"{tied}: another may be as fast ({test})." for test in coverage.intervals(ratios, f"pairs of a {whole}")]
    return [*sure, *([f"{unsure}: {few}."] if sure and few else [])]
