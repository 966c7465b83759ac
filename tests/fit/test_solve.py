"""Robust fits, many at once."""

from __future__ import annotations

import numpy as np
import pytest

from collbench.fit.lines import ONE, QUICKER, Floats, Shape, evaluate
from collbench.fit.solve import solve, starts_of, ties_of

SIZES = [1 << power for power in range(10, 26)]
WAYS = np.array([[[steps, share * size, 0.0, 0.0]] for steps, share in ((2, 1.0), (6, 1.5)) for size in SIZES])
TRUE = np.array([5.0, 0.7, 0.001, 1, 1, 3.0, 0.0003, 1, 1])


def fitted(us: Floats, shape: Shape, weights: Floats | None = None, **known: float) -> Floats:
    rows = np.ones((1, len(us))) if weights is None else weights
    starts = np.array([starts_of(WAYS[row > 0], us[row > 0], shape, ratio=2.0) for row in rows])
    held = {int(place.removeprefix("at")): value for place, value in known.items()}
    logs, _ = solve(WAYS, us, rows, shape, ties_of(shape, 2.0, starts[:, 0], held), starts)
    found: Floats = np.exp(logs)
    return found


def exact(shape: Shape) -> Floats:
    values, _ = evaluate(WAYS, shape, np.log(TRUE[None, : shape.constants]))
    found: Floats = values[0]
    return found


def test_exact_latencies_give_their_constants_back() -> None:
    assert fitted(exact(ONE), ONE)[0][:3] == pytest.approx(TRUE[:3], rel=0.02)
    found = fitted(exact(QUICKER), QUICKER)[0]
    assert found[[0, 1, 2, 5, 6]] == pytest.approx(TRUE[[0, 1, 2, 5, 6]], rel=0.05)


def test_a_wild_case_hardly_matters() -> None:
    us = exact(ONE)
    us[5] *= 10
    assert fitted(us, ONE)[0][:3] == pytest.approx(TRUE[:3], rel=0.05)
    assert np.polyfit(WAYS[:16, 0, 1], us[:16], 1)[1] > 1.5 * (TRUE[0] + 2 * TRUE[1]), "as least squares would have it"


def test_a_case_of_weight_0_does_not_matter_at_all() -> None:
    us, weights = exact(ONE), np.ones((2, len(WAYS)))
    us[3], weights[1, 3] = 1e6, 0
    found = fitted(us, ONE, weights)
    assert found[1][:3] == pytest.approx(TRUE[:3], rel=0.02)
    us[3] = 1e-6
    assert (fitted(us, ONE, weights)[1] == found[1]).all(), "not even for where the fit starts"
    assert not np.allclose(found[0], found[1])


def test_what_measurements_leave_open_is_tied() -> None:
    us = exact(ONE)[:16]
    ties = ties_of(ONE, 2.0, np.zeros((1, ONE.constants)), {})
    found = np.exp(solve(WAYS[:16], us, np.ones((1, 16)), ONE, ties, np.zeros((1, 1, ONE.constants)))[0][0])
    assert found[0] / found[1] == pytest.approx(2, rel=0.05)
    assert found[0] + 2 * found[1] == pytest.approx(TRUE[0] + 2 * TRUE[1], rel=0.01)


def test_known_constants_are_held_fast() -> None:
    found = fitted(exact(ONE), ONE, at0=np.log(4.0))[0]
    assert found[0] == pytest.approx(4.0, rel=1e-3)
    assert found[1] > TRUE[1]
