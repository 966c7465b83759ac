"""The reference of all_reduce_rms_norm: its order spelled out with scalars, and RMSNorm as the textbook has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from collbench.plan.dtypes import DTYPES
from collbench.plan.rms_norm import EPSILON, reference, squares

F = np.float32
Values = NDArray[Any]
HIDDEN = [8, 16, 24, 40, 64, 72, 4096]


def drawn(kind: str, ranks: int, rows: int, hidden: int) -> tuple[Values, Values, Values]:
    draw, dtype = np.random.default_rng(hidden), DTYPES[kind].numpy
    inputs = draw.standard_normal((ranks, rows, hidden)).astype(dtype)
    return inputs, draw.standard_normal((rows, hidden)).astype(dtype), draw.uniform(0.5, 2, hidden).astype(dtype)


def folded(numbers: list[Any]) -> Any:
    """The sum of a power of two of numbers: the halves are added number by number until one is left."""
    while len(numbers) > 1:
        half = len(numbers) // 2
        numbers = [F(numbers[i] + numbers[i + half]) for i in range(half)]
    return numbers[0]


def by_hand(inputs: Values, residual: Values, weight: Values) -> tuple[list[Any], list[Any]]:
    """One row: its normalised elements and its new residual, one operation at a time."""
    kind = residual.dtype.type
    fresh = []
    for column, old in enumerate(residual):
        total = F(inputs[0][column])
        for part in (*inputs[1:, column], old):
            total = F(total + F(part))
        fresh.append(kind(total))
    squared = [F(F(r) * F(r)) for r in fresh]
    cells = [folded(squared[at : at + 8]) for at in range(0, len(squared), 8)]
    while len(cells) & (len(cells) - 1):
        cells.append(F(0))
    scale = F(F(1) / np.sqrt(F(F(folded(cells) / F(len(fresh))) + F(EPSILON))))
    return [kind(F(F(F(r) * scale) * F(w))) for r, w in zip(fresh, weight, strict=True)], fresh


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("hidden", [8, 24, 72])
def test_the_reference_has_the_documented_order(kind: str, hidden: int) -> None:
    inputs, residual, weight = drawn(kind, 3, 2, hidden)
    normalised, fresh = reference(inputs, residual, weight)
    for row in range(2):
        rows, sums = by_hand(inputs[:, row], residual[row], weight)
        assert [float(each) for each in normalised[row]] == [float(each) for each in rows]
        assert [float(each) for each in fresh[row]] == [float(each) for each in sums]
    assert normalised.dtype == fresh.dtype == residual.dtype


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_rows_are_normalised_by_their_root_mean_square(kind: str, hidden: int) -> None:
    inputs, residual, weight = drawn(kind, 4, 3, hidden)
    normalised, fresh = reference(inputs, residual, weight)
    wide = fresh.astype(np.float64)
    root = np.sqrt((wide**2).mean(axis=1, keepdims=True) + EPSILON)
    want = wide / root * weight.astype(np.float64)
    np.testing.assert_allclose(normalised.astype(np.float64), want, rtol=1.01 * DTYPES[kind].roundoff)


def test_the_residual_is_rounded_once() -> None:
    ones, tiny = np.ones((1, 8)), np.full((1, 8), 2.0**-8)
    inputs = np.stack([ones, tiny, tiny]).astype(DTYPES["bfloat16"].numpy)  # 1 + 2**-8 alone rounds back to 1
    _, fresh = reference(inputs, np.zeros((1, 8), inputs.dtype), np.ones(8, inputs.dtype))
    np.testing.assert_array_equal(fresh.astype(F), np.full((1, 8), 1 + 2.0**-7, F))


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_square_counts_once(hidden: int) -> None:
    whole = np.random.default_rng(1).integers(0, 16, (2, hidden)).astype(F)
    np.testing.assert_array_equal(squares(whole), (whole.astype(np.int64) ** 2).sum(axis=1).astype(F))
