"""Lower bounds: no committed measurement beats its own, and all come from today's formula."""

from __future__ import annotations

from pathlib import Path

import pytest

from collbench.plan.bounds import bound_seconds, find_link
from collbench.results.facts import facts_of
from collbench.results.records import load

RESULTS = Path(__file__).parents[2] / "results"
RUNS = sorted(path for path in RESULTS.glob("[a-z]*.csv") if path.read_text(encoding="utf-8").startswith("run_id,"))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_no_committed_row_is_below_its_bound_which_is_that_of_today(path: Path) -> None:
    facts = facts_of(path)
    for row in load(path):
        if row.status != "ok":
            continue
        link = find_link(facts[row.launch]["gpu"] or "", row.fabric)
        bound = bound_seconds(row.collective, row.bytes, row.ranks, link) * 1e6 if link else None
        assert row.bound_us == (pytest.approx(bound) if bound else None)
        assert (row.latency_us_min or 0) >= (row.bound_us or 0)
