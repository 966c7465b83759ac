"""NaN, infinities and denormals: one answer in any order of additions, and a check that accepts only it."""

from __future__ import annotations

import numpy as np
import pytest

from collbench.devices.device import Values, same
from collbench.plan.dtypes import DTYPES, Dtype
from collbench.proof.patterns import SPECIAL, SPECIAL_NUMBERS, expect, inputs

FLOATS = [dtype for dtype in DTYPES.values() if dtype.is_float]
FLOAT = pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.name)


def sums_in_some_order(parts: Values, seed: int) -> Values:
    """Each addition rounded to the type itself, along a random chain."""
    turn = np.random.default_rng(seed).permutation(len(parts))
    total: Values = parts[turn[0]]
    for rank in turn[1:]:
        total = total + parts[rank]
    return total


@FLOAT
@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_special_values_have_one_sum_in_any_order_and_width(dtype: Dtype, ranks: int) -> None:
    parts = inputs(SPECIAL, dtype, "sum", ranks)
    expected = expect(SPECIAL, parts, dtype, "sum")
    with np.errstate(all="ignore"):
        for seed in range(4):
            assert same(sums_in_some_order(parts, seed).astype(np.float64), expected.middle).all()
        wide = sums_in_some_order(parts.astype(np.float64), 5).astype(dtype.numpy)
    assert same(wide.astype(np.float64), expected.middle).all()


@FLOAT
def test_special_values_are_all_there_on_every_rank(dtype: Dtype) -> None:
    parts = inputs(SPECIAL, dtype, "sum", 3)
    bits = parts.view(f"u{dtype.itemsize}")
    magnitude = bits & ((1 << (8 * dtype.itemsize - 1)) - 1)
    least_normal = 1 << (dtype.exact_bits - 1)
    with np.errstate(all="ignore"):
        kinds = {
            "NaN": np.isnan(parts), "inf": parts == np.inf, "-inf": parts == -np.inf,
            "-0": (magnitude == 0) & (bits != 0), "denormal": (magnitude > 0) & (magnitude < least_normal),
        }  # fmt: skip
        answer = expect(SPECIAL, parts, dtype, "sum").middle
        assert ((parts == np.inf).any(axis=0) & (parts == -np.inf).any(axis=0) & np.isnan(answer)).any()
        assert (np.isinf(answer) & np.isfinite(parts.astype(np.float64)).all(axis=0)).any(), "an overflow"
    assert all(found.any(axis=1).all() for found in kinds.values())
    assert 0.3 < np.isfinite(answer).mean() < 0.95
    assert not np.isnan(inputs(SPECIAL_NUMBERS, dtype, "min", 3)).any()


@FLOAT
@pytest.mark.parametrize("op", ["min", "max"])
def test_extremes_of_special_values_are_numpys(dtype: Dtype, op: str) -> None:
    for layer in (SPECIAL, SPECIAL_NUMBERS):
        parts = inputs(layer, dtype, op, 3)
        with np.errstate(all="ignore"):
            reduced = (np.minimum if op == "min" else np.maximum).reduce(parts, axis=0).astype(np.float64)
        expected = expect(layer, parts, dtype, op)
        assert same(expected.middle, reduced).all()
        assert np.isnan(expected.middle).any() == (layer == SPECIAL)


@FLOAT
def test_averages_of_special_values_pass_whether_divided_before_or_after(dtype: Dtype) -> None:
    parts = inputs(SPECIAL, dtype, "avg", 3)
    expected = expect(SPECIAL, parts, dtype, "avg")
    third = np.array(1 / 3, dtype.numpy)
    with np.errstate(all="ignore"):
        for got in (sums_in_some_order(parts, 1) * third, sums_in_some_order(parts * third, 2)):
            near = np.abs(got.astype(np.float64) - expected.middle) <= expected.tolerance
            assert (near | same(got.astype(np.float64), expected.middle)).all()
    assert np.isnan(expected.middle).any()
    assert (expected.tolerance[~np.isfinite(expected.middle)] == 0).all()
