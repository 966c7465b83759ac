"""The errors that the inputs of the proof reveal, for every type and any order of additions."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from collbench.devices.device import PERIOD, Expectation, Values
from collbench.kernels.abi import ESCAPES
from collbench.plan.dtypes import DTYPES, Dtype
from collbench.proof import patterns
from collbench.proof.buffers import MOST_CALLS
from collbench.proof.patterns import LAYERS, SLOT_STEP, codes, exactly, expect, first_iteration, inputs, shift_of

DTYPE = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
FLOAT = pytest.mark.parametrize(
    "dtype", [each for each in DTYPES.values() if each.is_float], ids=lambda each: each.name
)
RANKS = range(2, 10)


def reduce_in_some_order(parts: Values, seed: int) -> Values:
    """The sum, each addition rounded in the type itself, along a random tree."""
    draw = np.random.default_rng(seed)
    heap = list(parts)
    while len(heap) > 1:
        first, second = (heap.pop(draw.integers(len(heap))) for _ in range(2))
        heap.append(first + second)
    return np.asarray(heap[0])


def as_longs(values: Values) -> Values:
    """The values in the widest type there is."""
    return np.asarray(values.astype(np.longdouble))


def passes(expected: Expectation, values: Values) -> Values:
    """Which elements are accepted: by equality where a value is given, else by the tolerance."""
    if expected.value is not None:
        return np.asarray(values == expected.value)
    return np.asarray(np.abs(as_longs(values) - expected.middle) <= expected.tolerance)


def seen_at(table: Values, shift: int) -> Values:
    """The content of a buffer that starts at entry ``shift`` of the table."""
    return np.roll(table, -shift)


@DTYPE
def test_codes_are_unique_exact_and_positive(dtype: Dtype) -> None:
    values = codes(dtype).astype(np.float64)
    assert values.shape == (PERIOD,)
    assert len(np.unique(values)) == PERIOD
    assert np.isfinite(values).all()
    assert (values >= 1).all()
    assert codes(dtype).dtype == dtype.numpy


def test_the_period_is_prime_and_shares_no_factor_with_blocks() -> None:
    assert all(PERIOD % divisor for divisor in range(2, 128))
    assert PERIOD < 128**2


@DTYPE
@pytest.mark.parametrize("op", ["sum", "avg", "min", "max"])
@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_a_routed_element_comes_from_one_rank_and_the_others_are_neutral(dtype: Dtype, op: str, ranks: int) -> None:
    parts = inputs("routing", dtype, op, ranks).astype(np.float64)
    carries = parts == codes(dtype).astype(np.float64)
    assert (carries.sum(axis=0) == 1).all()
    assert (carries.argmax(axis=0) == np.arange(PERIOD) % ranks).all()
    others = parts[~carries]
    if op in ("sum", "avg"):
        assert (others == 0).all()
    else:
        beyond = np.finfo(np.float64).max if dtype.is_float else 2.0**31 - 1
        assert (others >= beyond).all() if op == "min" else (others <= -beyond).all()


@DTYPE
@pytest.mark.parametrize("op", ["sum", "min", "max"])
@pytest.mark.parametrize("ranks", RANKS)
def test_a_routed_answer_is_the_code_itself(dtype: Dtype, op: str, ranks: int) -> None:
    expected = expect("routing", inputs("routing", dtype, op, ranks), dtype, op)
    assert expected.value is not None
    assert (expected.value == codes(dtype)).all()
    assert (expected.tolerance == 0).all()


@DTYPE
@pytest.mark.parametrize("ranks", RANKS)
def test_routing_shows_a_missing_and_a_doubled_rank_on_all_of_its_elements(dtype: Dtype, ranks: int) -> None:
    parts = inputs("routing", dtype, "sum", ranks)
    expected = expect("routing", parts, dtype, "sum")
    for rank in range(ranks):
        owned = np.arange(PERIOD) % ranks == rank
        missing = parts.astype(np.float64).sum(axis=0) - parts[rank].astype(np.float64)
        doubled = parts.astype(np.float64).sum(axis=0) + parts[rank].astype(np.float64)
        for wrong in (missing, doubled):
            assert (passes(expected, wrong) == ~owned).all()


@DTYPE
@pytest.mark.parametrize("ranks", [2, 3, 8, 128])
def test_copied_elements_tell_ranks_apart_at_every_offset(dtype: Dtype, ranks: int) -> None:
    tables = inputs("routing", dtype, "", ranks).astype(np.float64)
    assert all(len(np.unique(tables[:, offset])) == ranks for offset in range(0, PERIOD, 97))
    assert all(len(np.unique(table)) == PERIOD for table in tables[:3])
    for table in tables[:3]:
        found = expect("routing", table[None], dtype, "").value
        assert found is not None
        assert (found == table).all()


def layer_calls(layers: int) -> list[tuple[int, int]]:
    """Shifts of calls whose answers could be confused: neighbours in time, in place or of one layer."""
    here = [(iteration, slot) for iteration in range(6) for slot in range(3)]
    return [
        (shift_of(*a), shift_of(*b))
        for a, b in combinations(here, 2)
        if abs(a[0] - b[0]) in (0, 1, layers) and abs(a[1] - b[1]) <= 1
    ]


@DTYPE
@pytest.mark.parametrize("layers", [len(LAYERS), len(LAYERS) + 1])
def test_neighbouring_iterations_and_slots_differ_at_every_offset(dtype: Dtype, layers: int) -> None:
    answer = expect("routing", inputs("routing", dtype, "sum", 4), dtype, "sum").value
    assert answer is not None
    for one, other in layer_calls(layers):
        assert (seen_at(answer, one) != seen_at(answer, other)).all()


def test_no_group_has_data_that_another_has_now_or_had_lately() -> None:
    begins = list(map(first_iteration, range(100)))
    others = {shift_of(begin + sample, slot) for begin in begins[1:] for sample in range(9) for slot in range(7)}
    assert shift_of(begins[0] + 4, 3) not in others
    assert all(begins[1] % layers for layers in (3, 4)), "at one time, neighbours are in different layers"


def test_all_slots_of_an_iteration_and_the_next_ones_start_elsewhere() -> None:
    slots = [shift_of(9, slot) for slot in range(MOST_CALLS)]
    assert len(set(slots)) == MOST_CALLS
    assert all((b - a) % PERIOD == SLOT_STEP for a, b in pairwise(slots))
    starts = [shift_of(iteration) for iteration in range(PERIOD)]
    assert len(set(starts)) == PERIOD


@DTYPE
@pytest.mark.parametrize("ranks", RANKS)
def test_whole_numbers_have_the_exact_sum_in_any_order(dtype: Dtype, ranks: int) -> None:
    parts = inputs("exact", dtype, "sum", ranks)
    expected = expect("exact", parts, dtype, "sum")
    wide = parts.astype(np.int64).sum(axis=0)
    assert expected.value is not None
    assert (expected.value.astype(np.int64) == wide).all()
    assert np.abs(parts.astype(np.int64)).sum(axis=0).max() <= 2**dtype.exact_bits
    for seed in range(3):
        total = reduce_in_some_order(parts, seed)
        assert total.dtype == dtype.numpy
        assert passes(expected, total).all()


@DTYPE
@pytest.mark.parametrize("ranks", [*RANKS, 128])
def test_whole_numbers_betray_a_missing_rank(dtype: Dtype, ranks: int) -> None:
    parts = inputs("exact", dtype, "sum", ranks)
    expected = expect("exact", parts, dtype, "sum")
    missing = reduce_in_some_order(parts[1:], 0)
    assert 1 - passes(expected, missing).mean() > 0.5


@FLOAT
@pytest.mark.parametrize("ranks", RANKS)
def test_random_data_pass_in_any_order(dtype: Dtype, ranks: int) -> None:
    parts = inputs("bound", dtype, "sum", ranks)
    expected = expect("bound", parts, dtype, "sum")
    assert expected.value is None
    assert (expected.middle == as_longs(parts).sum(axis=0).astype(np.float64)).all()
    for seed in range(3):
        assert passes(expected, reduce_in_some_order(parts, seed)).all()


@FLOAT
@pytest.mark.parametrize("ranks", [2, 3, 8, 9])
@pytest.mark.parametrize("layer", LAYERS)
def test_averages_pass_whether_divided_before_or_after(dtype: Dtype, ranks: int, layer: str) -> None:
    parts = inputs(layer, dtype, "avg", ranks)
    expected = expect(layer, parts, dtype, "avg")
    divisor = np.array(ranks, dtype.numpy)
    share = np.array(1 / ranks, dtype.numpy)
    after = (reduce_in_some_order(parts, 1) / divisor).astype(dtype.numpy)
    before = reduce_in_some_order((parts * share).astype(dtype.numpy), 1)
    assert passes(expected, after).all()
    assert passes(expected, before).all()


@FLOAT
def test_the_bound_betrays_a_missing_rank_of_eight(dtype: Dtype) -> None:
    parts = inputs("bound", dtype, "sum", 8)
    expected = expect("bound", parts, dtype, "sum")
    caught = 1 - passes(expected, reduce_in_some_order(parts[1:], 0)).mean()
    assert caught > (0.999 if dtype.name in ("float32", "float64") else 0.8)


def test_the_bound_betrays_sums_in_a_narrower_type() -> None:
    float32 = DTYPES["float32"]
    parts = inputs("bound", float32, "sum", 8)
    expected = expect("bound", parts, float32, "sum")
    narrow = reduce_in_some_order(parts.astype(DTYPES["bfloat16"].numpy), 0).astype(np.float32)
    assert 1 - passes(expected, narrow).mean() > 0.99


@FLOAT
def test_the_tolerance_is_highams_and_errors_are_in_units_of_u_times_the_magnitudes(dtype: Dtype) -> None:
    parts = inputs("bound", dtype, "sum", 4)
    expected = expect("bound", parts, dtype, "sum")
    magnitude = np.abs(parts.astype(np.float64)).sum(axis=0)
    u = dtype.roundoff
    np.testing.assert_allclose(expected.tolerance, 3 * u / (1 - 3 * u) * magnitude, rtol=1e-12)
    np.testing.assert_allclose(u * magnitude * expected.units, 1, rtol=1e-12)


@DTYPE
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("op", "by"), [("min", np.minimum), ("max", np.maximum)])
def test_extremes_are_exact_in_every_layer(dtype: Dtype, layer: str, op: str, by: np.ufunc) -> None:
    parts = inputs(layer, dtype, op, 5)
    expected = expect(layer, parts, dtype, op)
    assert expected.value is not None
    assert (expected.value == by.reduce(parts, axis=0)).all()


@DTYPE
@pytest.mark.parametrize("layer", LAYERS)
def test_inputs_are_the_same_on_every_rank_that_makes_them(dtype: Dtype, layer: str) -> None:
    first, second = inputs(layer, dtype, "sum", 3), inputs(layer, dtype, "sum", 3)
    assert first.shape == (3, PERIOD)
    assert first.dtype == dtype.numpy
    assert first.tobytes() == second.tobytes()


def test_an_emulated_answer_is_to_the_bit() -> None:
    parts = inputs("bound", DTYPES["float32"], "sum", 3)
    expected = exactly((parts[0] + parts[1]) + parts[2])
    assert passes(expected, (parts[0] + parts[1]) + parts[2]).all()
    assert not passes(expected, parts[0] + (parts[1] + parts[2])).all()


def test_bit_exact_data_show_what_a_reduction_was_begun_with() -> None:
    dtype = DTYPES["float32"]
    sums = patterns.inputs(patterns.BIT_EXACT, dtype, "sum", 5)
    one, other = (np.add.reduce(sums, axis=0, initial=first, dtype=np.float32) for first in (-0.0, 0.0))
    assert not np.array_equal(one.view(np.uint32), other.view(np.uint32))
    for op, infinity, reduce in (("min", np.inf, np.minimum), ("max", -np.inf, np.maximum)):
        values = patterns.inputs(patterns.BIT_EXACT, dtype, op, 5)
        largest = np.float32(np.copysign(np.finfo(np.float32).max, infinity))
        assert not np.array_equal(reduce.reduce(values, axis=0), reduce.reduce(values, axis=0, initial=largest))


@pytest.mark.parametrize("name", ["int64", "float64"])
def test_a_gpu_which_judges_in_float64_tells_one_escaping_word_from_the_other(name: str) -> None:
    values = inputs("exact", DTYPES[name], "sum", 2)
    words = values.view(np.uint32)
    escaping = np.isin(words, ESCAPES)
    confused = np.where(escaping, words ^ 1, words).view(values.dtype)
    some = escaping.reshape(*values.shape, 2).any(axis=-1)
    assert some.any()
    assert np.all(values[some].astype(np.float64) != confused[some].astype(np.float64))
