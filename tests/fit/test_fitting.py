"""Laws fitted to curves: their constants, ranges, and errors at what was held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from readmes import ROOT

from collbench.errors import UsageError
from collbench.fit.curves import Curve, Point, World, curves_of
from collbench.fit.families import family_of
from collbench.fit.files import fit_file
from collbench.fit.fitting import Fit, fit_curve
from collbench.fit.law import UNJUDGED
from collbench.results.records import load

SIZES = [1 << power for power in range(12, 27, 2)]


def ring_us(size: int, ranks: int, nodes: int) -> float:
    """0.1 us, 0.8 us a step and 200 GB/s inside nodes, 4 us and 20 GB/s between; a node has two ranks."""
    between = 2 * nodes - 1 if nodes > 1 else 0
    sent = 2 * (ranks - 1) / ranks * size
    return 0.1 + 0.8 * (2 * (ranks - 1) - between) + 4 * between + sent / (20e3 if nodes > 1 else 200e3)


def curve(worlds: Sequence[World], sizes: Sequence[int] = SIZES, noise: float = 0.0) -> Curve:
    rng = np.random.default_rng(0)
    cases = [(size, *world) for world in worlds for size in sizes]
    points = [Point(*case, ring_us(*case) * float(np.exp(noise * rng.normal()))) for case in cases]
    family = family_of("mpi-ring", "all_reduce", on_host=True)
    return Curve("mpi-ring", family, tuple(points))


def fit(worlds: Sequence[World], sizes: Sequence[int] = SIZES, noise: float = 0.0) -> Fit:
    return fit_curve(curve(worlds, sizes, noise), "x.csv")


def test_two_levels_of_links_are_found_again() -> None:
    law = fit([(2, 1), (4, 2), (8, 4)]).law
    found = np.exp(law.constants)
    assert found[1:5] == pytest.approx([0.8, 1 / 200e3, 4, 1 / 20e3], rel=0.02)
    assert found[0] < 0.15
    assert law.us([1 << 20], 16, 8)[0, 0] == pytest.approx(ring_us(1 << 20, 16, 8), rel=0.02)


def test_intervals_and_ranges_hold_what_is_true() -> None:
    found = fit([(2, 1), (4, 2), (8, 4)], noise=0.05)
    value, low, high = found.law.interval(4)
    assert low < 1 / 20e3 < high
    assert low <= value <= high
    estimate = found.law.estimate(1 << 20, 8, 4)
    assert estimate.low < ring_us(1 << 20, 8, 4) < estimate.high
    assert estimate.high / estimate.low < 1.5


def test_errors_are_of_what_was_held_out() -> None:
    found = fit([(2, 1), (4, 2), (8, 4)])
    assert set(found.by_size) == set(SIZES)
    assert set(found.by_world) == {(2, 1), (4, 2), (8, 4)}
    assert found.size_error is not None
    assert found.size_error < 0.02
    bent = curve([(2, 1)])
    points = tuple(Point(p.size, p.ranks, p.nodes, p.us * (3 if p.size == 1 << 18 else 1)) for p in bent.points)
    wrong = fit_curve(Curve("mpi-ring", bent.family, points), "x.csv")
    assert wrong.by_size[1 << 18][0] == pytest.approx(2 / 3, abs=0.05), "predicted from the others, a third of it"
    assert dict(wrong.held_out)[points[3]] == pytest.approx(3, rel=0.1)


def test_a_world_with_links_of_its_own_is_not_held_out() -> None:
    found = fit([(4, 1), (4, 4)])
    assert (found.by_world, found.without_world) == ({}, "links differ")
    assert set(fit([(2, 1), (4, 1), (4, 4)]).by_world) == {(2, 1), (4, 1)}


def test_the_same_seed_gives_the_same_law() -> None:
    one, other = fit([(4, 1)], noise=0.1).law, fit([(4, 1)], noise=0.1).law
    assert (one.drawn == other.drawn).all()


def test_too_few_sizes_are_refused_or_not_held_out() -> None:
    with pytest.raises(UsageError, match=r"x.csv has 2 sizes of mpi-ring all_reduce; a fit needs 3"):
        fit([(4, 1)], sizes=SIZES[:2])
    few = fit([(4, 1)], sizes=SIZES[:4])
    assert (few.size_error, few.without_size, few.without_world) == (None, "only 4 sizes", "only 1 world")
    assert few.law.errors == (-UNJUDGED, UNJUDGED)


def test_links_that_no_world_has_are_refused() -> None:
    law = fit([(2, 1), (4, 1)]).law
    with pytest.raises(UsageError, match=r"x.csv has no world of several nodes, which 8 ranks on 4 nodes need"):
        law.estimate(4096, 8, 4)
    alone = fit([(2, 2), (4, 4)]).law
    with pytest.raises(UsageError, match="no world with several ranks on a node"):
        alone.estimate(4096, 4, 2)
    with pytest.raises(UsageError, match="is empty"):
        law.estimate(-4, 4, 1)


def test_ranges_widen_and_are_assumed_beyond_what_was_measured() -> None:
    law = fit([(4, 2), (8, 4)], noise=0.05).law
    inside, beyond, far = (law.estimate(1 << 20, 2 * nodes, nodes) for nodes in (4, 8, 32))
    assert [each.basis for each in (inside, beyond, far)] == ["modelled", "assumed", "assumed"]
    widths = [each.high / each.low for each in (inside, beyond, far)]
    assert widths == sorted(widths)
    assert law.estimate(1 << 20, 6, 3).basis == "modelled", "between two and four nodes"


def test_a_range_holds_the_errors_that_were_seen() -> None:
    law = fit([(4, 2), (8, 4)]).law
    seen = replace(law, errors=(-np.log(2), np.log(3)), world_errors=(-np.log(2), np.log(3)))
    here, next_, far = (seen.estimate(1 << 20, 2 * nodes, nodes) for nodes in (4, 8, 32))
    assert [here.us / here.low, here.high / here.us] == pytest.approx([2, 3], rel=0.1)
    assert next_.high / next_.us == pytest.approx(3, rel=0.1)
    assert far.high / far.us == pytest.approx(3 * np.exp(2 * UNJUDGED), rel=0.1)


FILES = ("tcp-nodes", "h200x4-nvrar-layouts", "h200x4-nvrar-worlds", "h200x4-nvrar", "h100x2-shards", "cpu-4ranks")


@pytest.mark.parametrize("name", [*FILES, "h200x4-worlds"])
def test_committed_files_are_predicted_within_15_per_cent_at_the_median(name: str) -> None:
    path = ROOT / f"results/{name}.csv"
    rows = [row for row in load(path) if name != "h200x4-worlds" or row.dtype == "bfloat16"]
    found = fit_file(path, rows)
    assert np.median(found.errors(of_worlds=False)) <= 0.15
    errors = found.errors(of_worlds=True)
    assert bool(errors) == any(len(fit.curve.worlds) > 1 for fit in found.fits)
    if errors:
        assert np.median(errors) <= 0.15
        assert np.quantile(errors, 0.8) <= np.exp(UNJUDGED) - 1
    for fit in found.fits:
        for case in fit.curve.cases:
            _above_its_bound(fit, case.record.bytes, case.record.ranks, case.record.bound_us)


def _above_its_bound(fit: Fit, size: int, ranks: int, bound_us: float | None) -> None:
    if bound_us is not None and fit.law.worlds[0][1] == 1 and all(nodes == 1 for _, nodes in fit.law.worlds):
        assert fit.law.us([size], ranks, 1)[0, 0] >= bound_us


def test_curves_are_of_cases_that_differ_in_size_and_world() -> None:
    found = curves_of(load(ROOT / "results/h200x4-worlds.csv"))
    assert sorted((each.backend, each.cases[0].record.dtype) for each in found) == sorted(
        (backend, dtype) for backend in ("nccl", "nccl-symm", "nvshmem") for dtype in ("bfloat16", "float32")
    )
    assert {each.worlds for each in found} == {((2, 1), (4, 1))}
