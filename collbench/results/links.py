"""The pairs of hosts of ``sweep --pairs``, and which host or pair is slower than the others beyond noise.

A launch times every pair, and is one replicate. A host is judged by the median of its pairs against that of all others,
a pair against the median of all others, both as log ratios within a launch: Student's t over launches, with the larger
of its own spread and of that of all hosts or pairs together, at 95 % for all that are judged at once (Bonferroni).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, median, median_low

from collbench.plan.layout import BETWEEN
from collbench.results.cases import LATENCY, CaseResult
from collbench.results.statistics import spread, student_quantile
from collbench.results.verdicts import FEWEST_LAUNCHES, LEAST_SPREAD, confidence_of

FEWEST_PAIRS = 3  # with two hosts there is nothing to compare with
SLOWER, SEEMS_SLOWER = 1.02, 1.1  # with and without an interval; less is of no consequence
Launch = Mapping[str, float]  # by pair, log microseconds


def hosts_of(pair: str) -> tuple[str, str]:
    """The two hosts of a pair."""
    one, _, other = pair.partition(BETWEEN)
    return one, other


@dataclass(frozen=True)
class Links:
    """The cases of one problem on one backend that differ only in the pair of hosts; at least one."""

    cases: tuple[CaseResult, ...]

    @cached_property
    def pairs(self) -> dict[str, CaseResult]:
        """The cases by pair."""
        return {case.record.pair: case for case in self.cases}

    @property
    def hosts(self) -> list[str]:
        """The hosts by name, node2 before node10."""
        return sorted({host for pair in self.pairs for host in hosts_of(pair)}, key=_natural)

    def median(self, pair: str, column: str = LATENCY) -> float | None:
        """The median of ``column`` over launches; None if the pair has none."""
        case = self.pairs.get(pair)
        return case.median(column) if case else None

    def launches(self) -> list[Launch]:
        """The launches that timed the same pairs as most launches did: one that was cut short, or had other hosts,
        cannot be averaged with them."""
        found: dict[tuple[str, int], dict[str, float]] = {}
        for pair, case in self.pairs.items():
            for row in case.timed:
                found.setdefault((row.run_id, row.launch), {})[pair] = math.log(row.latency_us_median or 1.0)
        counts = Counter(frozenset(launch) for launch in found.values())
        usual = max(counts, key=lambda pairs: (counts[pairs], len(pairs)), default=frozenset())
        return [launch for _, launch in sorted(found.items()) if launch.keys() == usual]


def _natural(host: str) -> list[tuple[int, str]]:
    """A sort key that puts node2 before node10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", host)]


def links_of(cases: Iterable[CaseResult]) -> list[Links]:
    """The cases of pairs of hosts, by what else they differ in; the smallest sizes first."""
    found: dict[object, list[CaseResult]] = {}
    for case in cases:
        if case.record.pair:
            found.setdefault(replace(case.record, pair="").identity, []).append(case)
    return sorted((Links(tuple(group)) for group in found.values()), key=lambda links: links.cases[0].record.bytes)


@dataclass(frozen=True)
class Slow:
    """A host or a pair ``name`` that takes ``factor`` times as long as the others, from ``low`` to ``high``, in these
    ``launches``. Without an interval, there are too few launches."""

    name: str
    factor: float
    low: float | None
    high: float | None
    launches: int

    @property
    def matters(self) -> bool:
        """Whether it is slower beyond noise, or where that is unknown, seems to be."""
        return self.factor > SEEMS_SLOWER if self.low is None else self.low > SLOWER


def of_host(host: str, launch: Launch) -> float | None:
    """How much longer the pairs of a host take than all others; None if there are no others. The lower median, so that
    one slow pair of two does not make its host slow."""
    mine = [us for pair, us in launch.items() if host in hosts_of(pair)]
    others = [us for pair, us in launch.items() if host not in hosts_of(pair)]
    return median_low(mine) - median(others) if mine and others else None


def of_pair(pair: str, launch: Launch) -> float | None:
    """How much longer a pair takes than all others; None if there are no others."""
    others = [us for name, us in launch.items() if name != pair]
    return launch[pair] - median(others) if others else None


def slow_hosts(links: Links, together: int) -> list[Slow]:
    """The hosts that are slower than the others, the slowest first; ``together`` hosts and pairs are judged at once."""
    return _slow(links.hosts, links.launches(), of_host, together)


def slow_pairs(links: Links, together: int) -> list[Slow]:
    """The pairs that are slower than the others, the slowest first; ``together`` hosts and pairs are judged at once."""
    launches = links.launches()
    return _slow(list(launches[0]) if launches else [], launches, of_pair, together)


def judged(links: Links) -> int:
    """How many hosts and pairs can be judged; 0 if there are too few pairs."""
    launches = links.launches()
    return len(launches[0]) + len(links.hosts) if launches and len(launches[0]) >= FEWEST_PAIRS else 0


def _slow(
    names: Sequence[str], launches: Sequence[Launch], contrast: Callable[[str, Launch], float | None], together: int
) -> list[Slow]:
    table = {name: [contrast(name, launch) for launch in launches] for name in names}
    known = {name: [each for each in row if each is not None] for name, row in table.items()}
    rows = {name: row for name, row in known.items() if row and len(row) == len(launches)}
    found = [_bounded(name, row, list(rows.values()), together) for name, row in rows.items()]
    return sorted((each for each in found if each.matters), key=lambda each: -each.factor)


def _bounded(name: str, row: Sequence[float], rows: Sequence[Sequence[float]], together: int) -> Slow:
    middle, count = fmean(row), len(row)
    if count < FEWEST_LAUNCHES:
        return Slow(name, math.exp(middle), None, None, count)
    pooled = math.sqrt(fmean(spread(each) ** 2 for each in rows))
    freedom = max(1, len(rows) - 1) * (count - 1)
    error = max(spread(row), pooled, LEAST_SPREAD) / math.sqrt(count)
    reach = student_quantile(confidence_of(together), freedom) * error
    return Slow(name, math.exp(middle), math.exp(middle - reach), math.exp(middle + reach), count)
