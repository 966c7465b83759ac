"""Lower bounds: no committed measurement beats its own, and all come from today's formula."""

from __future__ import annotations

from pathlib import Path

import pytest

from collbench.plan.bounds import Link, bound_seconds, find_link
from collbench.results.facts import facts_of
from collbench.results.records import load

RESULTS = Path(__file__).parents[2] / "results"
RUNS = sorted(
    path
    for path in RESULTS.glob("[a-z]*.csv")
    if path.read_text(encoding="utf-8").startswith("run_id,launch,collective")
)


LINK = Link(bandwidth=100e9, latency=0.5e-6, launch=0.75e-6)


@pytest.mark.parametrize(
    ("collective", "us"),
    [  # 400 kB at 100 GB/s take 4 us; a share of 4 ranks 1 us
        ("all_to_all", 0.75 + 0.5 + 3),
        ("all_gather", 0.75 + 0.5 + 3),
        ("send_recv", 0.75 + 0.5 + 4),
        ("send", 0.75 + 4),  # the sender does not wait, so that a chain of sends hides the latency
        ("broadcast", 0.75 + 4),
        ("gather", 0.75 + 3),
    ],
)
def test_a_bound_by_hand(collective: str, us: float) -> None:
    assert bound_seconds(collective, 400_000, 4, LINK) == pytest.approx(us * 1e-6)


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_no_committed_row_is_below_its_bound_which_is_that_of_today(path: Path) -> None:
    facts = facts_of(path)
    for row in load(path):
        if row.status != "ok":
            continue
        link = find_link(facts[row.launch]["gpu"] or "", row.fabric)
        known = link if not row.skew else None  # a bound is for ranks that arrive together
        bound = bound_seconds(row.collective, row.bytes, row.ranks, known) * 1e6 if known else None
        assert row.bound_us == (pytest.approx(bound) if bound else None)
        assert (row.latency_us_min or 0) >= (row.bound_us or 0)
