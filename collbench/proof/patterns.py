"""Periodic tables of inputs and expected outputs for the layers of the proof.

Every buffer is a window of a table that repeats with a prime period, shifted by the iteration. Tables are short, so
expectations are cheap at any size; a prime period shares no factor with blocks, cells or ranks, so a displaced element
never equals the expected one; and every iteration has different data at every offset, so stale data are detected.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from collbench.devices.device import PERIOD, Expectation, Values
from collbench.kernels.abi import ESCAPES
from collbench.plan.dtypes import Dtype

LAYERS = ("routing", "exact", "bound")
GUARD = 0xA5  # every byte around an output
BIT_EXACT = "bit-exact"  # of backends that document their order of additions
SPECIAL, SPECIAL_NUMBERS = "special", "special-numbers"  # NaN, infinities, zeros and denormals; the same without NaN


def shift_of(iteration: int, slot: int = 0) -> int:
    """Entry of the table at which a slot of an iteration starts; neighbours differ."""
    return (iteration * 4099 + slot * 257) % PERIOD


SLOT_STEP = shift_of(0, 1)
# Iterations from one group to the next: no two of 100 groups have the same data within four samples and three slots of
# each other, and neighbours are in different layers, of which there are three or four.
GROUP_STEP = 2401


def first_iteration(group: int) -> int:
    """The first iteration of a group of ranks, so that its data are none that other groups have now or had lately."""
    return group * GROUP_STEP


def codes(dtype: Dtype) -> Values:
    """PERIOD distinct positive values that ``dtype`` represents exactly."""
    index = np.arange(PERIOD)
    if dtype.itemsize == 2:
        one = np.ones((), dtype.numpy).view(np.uint16)
        return (index.astype(np.uint16) + one).view(dtype.numpy)
    return (index + 1).astype(dtype.numpy)


def neutral(dtype: Dtype, op: str) -> Any:
    """The number that changes no result of ``op``."""
    if op in ("sum", "avg"):
        return 0
    if dtype.is_float:
        return np.inf if op == "min" else -np.inf
    limits = np.iinfo(dtype.numpy)
    return limits.max if op == "min" else limits.min


def _routing(dtype: Dtype, op: str, ranks: int) -> Values:
    every_rank = np.broadcast_to(codes(dtype), (ranks, PERIOD))
    if not op:  # nothing is reduced: a different shift per rank identifies the source of an element
        return np.stack([np.roll(every_rank[0], -rank * 1021) for rank in range(ranks)])
    owner = np.arange(PERIOD) % ranks
    mine = owner == np.arange(ranks)[:, None]
    return np.where(mine, every_rank, np.array(neutral(dtype, op), dtype.numpy))


JUDGED_BITS = 53  # GPUs judge in float64


def _whole_numbers(dtype: Dtype, ranks: int, draw: np.random.Generator) -> Values:
    most = max(1, 2 ** min(dtype.exact_bits, JUDGED_BITS) // ranks - 1)
    return draw.integers(-most, most + 1, (ranks, PERIOD)).astype(dtype.numpy)


def _random(dtype: Dtype, ranks: int, draw: np.random.Generator) -> Values:
    return draw.standard_normal((ranks, PERIOD)).astype(dtype.numpy)


def _of_bits(dtype: Dtype, bits: int) -> float:
    return float(np.array(bits, f"u{dtype.itemsize}").view(dtype.numpy)[()])


def _specials(dtype: Dtype, op: str, with_nan: bool) -> list[tuple[float, float | None, float | None]]:
    """Special columns as (value on one rank, on another, on the rest); None keeps the integers there."""
    inf, nan = float("inf"), float("nan")
    least, largest_denormal = _of_bits(dtype, 1), _of_bits(dtype, (1 << (dtype.exact_bits - 1)) - 1)
    most = _of_bits(dtype, int(np.array(inf, dtype.numpy).view(f"u{dtype.itemsize}")) - 1)
    kinds: list[tuple[float, float | None, float | None]] = [
        (inf, None, None), (-inf, None, None), (inf, inf, None), (-0.0, None, 0.0), (-0.0, -0.0, -0.0),
    ]  # fmt: skip
    if with_nan:
        kinds += [(nan, None, None), (nan, inf, None), (inf, -inf, None)]
    if op != "avg":  # divided before or after the addition, these differ
        kinds += [(least, None, 0.0), (-least, -least, -least), (largest_denormal, None, 0.0), (most, most, 0.0)]
    return kinds


# Runs of NaNs with all bits set, the pattern that marks an empty Lamport cell.
ALL_ONES_RUN, ALL_ONES_EVERY = 8, 512
ESCAPE_RUN, ESCAPE_EVERY = 8, 2048


def _escaping(kind: np.dtype[Any]) -> tuple[Values, Values]:
    """Two runs of elements that hold the words that escape in Lamport cells: wide elements in their lower or upper
    half, 16-bit elements in pairs that begin at an even or an odd element."""
    words = np.repeat(np.array(ESCAPES, np.uint32)[:, None], ESCAPE_RUN, axis=1)
    if kind.itemsize == 2:
        pairs = words.view(np.uint16)[:, : ESCAPE_RUN + 1]
        return pairs[0, :ESCAPE_RUN].view(kind), pairs[1, 1:].view(kind)
    if kind.itemsize == 4:
        return words[0].view(kind), words[1].view(kind)
    # The upper half of a float of about 1, or of an integer that is exact in float64.
    other = np.full(ESCAPE_RUN, 0x3FF00000 if kind.kind == "f" else 1, np.uint32)
    halves = np.stack([words[0], other], axis=1), np.stack([other, words[1]], axis=1)
    return halves[0].view(kind)[:, 0], halves[1].view(kind)[:, 0]


def _put_escapes(values: Values) -> None:
    """Put runs of words that escape in Lamport cells on one rank, and zeros on all others: sums hold them, too."""
    runs = _escaping(values.dtype)
    for number, start in enumerate(range(ESCAPE_EVERY // 2, PERIOD - ESCAPE_RUN, ESCAPE_EVERY)):
        values[:, start : start + ESCAPE_RUN] = 0
        values[number % len(values), start : start + ESCAPE_RUN] = runs[number % 2]


BEGINNING_EVERY = 64


def _put_beginnings(values: Values, op: str) -> None:
    """Put columns that show what a reduction was begun with: of -0 on all ranks, whose sum from +0 would be +0; zeros
    of which one is +0; and for min and max, infinities on all ranks."""
    values[:, ::BEGINNING_EVERY] = -0.0
    if op in ("min", "max"):
        values[:, 1::BEGINNING_EVERY], values[:, 2::BEGINNING_EVERY] = np.inf, -np.inf
    elif op:
        values[:, 1::BEGINNING_EVERY] = -0.0
        values[-1, 1::BEGINNING_EVERY] = 0.0


def _special(dtype: Dtype, op: str, ranks: int, with_nan: bool, draw: np.random.Generator) -> Values:
    """Integers, with special values in about every other column, on changing ranks."""
    values = _whole_numbers(dtype, ranks, draw)
    kinds = _specials(dtype, op, with_nan)
    drawn = draw.integers(0, 2 * len(kinds), PERIOD)
    one = draw.integers(0, ranks, PERIOD)
    other = (one + draw.integers(1, ranks, PERIOD)) % ranks
    for number, (first, second, rest) in enumerate(kinds):
        (here,) = np.nonzero(drawn == number)
        if rest is not None:
            values[:, here] = rest
        if second is not None:
            values[other[here], here] = second
        values[one[here], here] = first
    if with_nan:
        bits = values.view(f"u{dtype.itemsize}")
        for number, start in enumerate(range(0, PERIOD - ALL_ONES_RUN, ALL_ONES_EVERY)):
            bits[number % ranks, start : start + ALL_ONES_RUN] = np.iinfo(bits.dtype).max
    return values


@lru_cache(maxsize=64)
def inputs(layer: str, dtype: Dtype, op: str, ranks: int) -> Values:
    """One period of every contribution, shape (ranks, PERIOD): the ranks' and, as one rank more, an old residual.

    ``routing``: in reductions, each element is non-neutral on one rank only, with a distinct code.
    ``exact``: integers whose sums are exact in any order (nccl-tests, verifiable.cu).
    ``bound``: random data from a normal distribution. ``bit-exact``: the same, with columns whose result shows from
    which number it was begun.
    ``special``: NaN, infinities, zeros of both signs, denormals and sums that overflow, all with a result that does not
    depend on the order of additions; ``special-numbers``: the same without NaN, also in results. Float types only.
    The array is cached and read-only.
    """
    draw = np.random.default_rng(2511)
    if layer == "routing":
        values = _routing(dtype, op, ranks)
    elif layer in (SPECIAL, SPECIAL_NUMBERS):
        values = _special(dtype, op, ranks, layer == SPECIAL, draw)
    elif layer == "exact" or not dtype.is_float:
        values = _whole_numbers(dtype, ranks, draw)
        if layer == "exact" and (dtype.itemsize == 8 or not dtype.is_float or not op):
            _put_escapes(values)
    else:
        values = _random(dtype, ranks, draw)
        if layer == BIT_EXACT:
            _put_beginnings(values, op)
    values.setflags(write=False)
    return values


@lru_cache(maxsize=8)
def weights(dtype: Dtype) -> Values:
    """One period of the weights of rows: random numbers around 1. The array is cached and read-only."""
    values: Values = np.random.default_rng(2512).uniform(0.5, 1.5, PERIOD).astype(dtype.numpy)
    values.setflags(write=False)
    return values


def exactly(value: Values) -> Expectation:
    """The expectation of every bit of ``value``, shape (PERIOD,)."""
    middle = value.astype(np.float64)
    zero = np.zeros(PERIOD)
    return Expectation(middle, zero, zero, value)


def numerically(value: Values) -> Expectation:
    """The expectation of numbers equal to ``value``, shape (PERIOD,): -0 equals 0, and all NaNs are equal."""
    zero = np.zeros(PERIOD)
    return Expectation(value.astype(np.float64), zero, zero, None)


def _within(parts: Values, dtype: Dtype, op: str, roundings: int) -> Expectation:
    wide = parts.astype(np.longdouble)
    share = 1 / len(parts) if op == "avg" else 1.0
    magnitude = (np.abs(wide).sum(axis=0) * share).astype(np.float64)
    u = dtype.roundoff
    gamma = roundings * u / (1 - roundings * u) if roundings * u < 1 else np.inf
    units = np.divide(1, u * magnitude, out=np.zeros(PERIOD), where=magnitude > 0)
    middle = (wide.sum(axis=0) * share).astype(np.float64)
    return Expectation(middle, gamma * magnitude, units, None)


def _of_specials(parts: Values, dtype: Dtype, op: str) -> Expectation:
    """The result under IEEE 754 in any order; NaN propagates, as in numpy also through min and max."""
    with np.errstate(all="ignore"):
        if op in ("min", "max"):
            return numerically((np.minimum if op == "min" else np.maximum).reduce(parts, axis=0))
        if op == "sum":
            return numerically(parts.astype(np.float64).sum(axis=0).astype(dtype.numpy))
        near = _within(parts, dtype, op, len(parts) + 1)
    return replace(numerically(near.middle), tolerance=np.where(np.isfinite(near.middle), near.tolerance, 0))


def expect(layer: str, parts: Values, dtype: Dtype, op: str) -> Expectation:
    """The expected result of reducing ``parts`` (contributions, shape (sources, PERIOD)) with ``op``.

    Sums of random data are compared with Higham's bound gamma_h(u) times the sum of magnitudes (Accuracy and
    Stability of Numerical Algorithms, 4.2), h roundings on the deepest path of an unknown order: one for each
    addition, and two more for an average. All other results are exact.
    """
    ranks = len(parts)
    if ranks == 1 and op != "avg":
        return exactly(parts[0])
    if layer in (SPECIAL, SPECIAL_NUMBERS):
        return _of_specials(parts, dtype, op)
    if op in ("min", "max"):
        return exactly((np.minimum if op == "min" else np.maximum).reduce(parts, axis=0))
    power_of_two = ranks & (ranks - 1) == 0
    if dtype.is_float and (layer == "bound" or (op == "avg" and not power_of_two)):
        return _within(parts, dtype, op, ranks - 1 + (2 if op == "avg" else 0))
    wide = parts.astype(np.float64 if dtype.is_float else np.int64).sum(axis=0)
    return exactly((wide / ranks if op == "avg" else wide).astype(dtype.numpy))


@lru_cache(maxsize=256)
def expectation(layer: str, dtype: Dtype, op: str, ranks: int, sources: tuple[int, ...]) -> Expectation:
    """The expected result of reducing the inputs of ``sources``."""
    return expect(layer, inputs(layer, dtype, op, ranks)[list(sources)], dtype, op)
