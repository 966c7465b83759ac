"""The proof of all_reduce_rms_norm: right answers pass every layer, and each mistake is found and named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from samples import a_layout

from collbench.devices.cpu import Cpu
from collbench.devices.device import Errors, Values
from collbench.plan import rms_norm
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import Problem
from collbench.proof import patterns
from collbench.proof.buffers import Rounds, arena_bytes, lay_out
from collbench.proof.proof import Proof

RANKS, HIDDEN, ROWS, SLOTS = 3, 24, 5, 3
Mistake = Callable[[Values, Values, Values, Values], None]  # changes rows, residual, message, weight of one call


def a_problem(kind: str = "bfloat16", hidden: int = HIDDEN, rows: int = ROWS) -> Problem:
    size = rows * hidden * 2
    what = COLLECTIVES["all_reduce_rms_norm"]
    return Problem(a_layout(RANKS), what, DTYPES[kind], "sum", size, "chain", "hot", False, hidden)


def flat(contributions: Values) -> Values:
    """The residual with one rounding."""
    return rms_norm.flat_residual(contributions[:-1], contributions[-1])


class Ranks:
    """The buffers of all ranks, and a right implementation that can then make a mistake on rank 1."""

    def __init__(self, problem: Problem, exact: bool = True, layers: tuple[str, ...] = ()) -> None:
        self.problem, self.device = problem, Cpu()
        rounds = Rounds(SLOTS, SLOTS, overlap=False)
        self.arenas = [np.zeros(arena_bytes(problem, self.device), np.uint8) for _ in range(RANKS)]
        self.buffers = [lay_out(problem, rank, rounds) for rank in range(RANKS)]
        order = flat if exact else None
        self.proofs = [
            Proof(self.device, arena, buffers, problem, rank, order, layers, exact)
            for rank, (arena, buffers) in enumerate(zip(self.arenas, self.buffers, strict=True))
        ]

    def views(self, rank: int, slot: int) -> tuple[Values, Values, Values, Values]:
        """Rows, residual, message and weight of one call on one rank."""
        arena, buffers, count = self.arenas[rank], self.buffers[rank], self.problem.count
        send, recv = (self.device.view(arena, each, slot) for each in (buffers.send, buffers.recv))
        rows, residual = recv.reshape(2, -1, self.problem.hidden)
        return rows, residual, send[:count].reshape(rows.shape), send[count:]

    def run(self, iteration: int, mistake: Mistake | None = None, slot: int = 1) -> tuple[Errors, str | None]:
        """Make the calls of an iteration, the mistake in one of them; what the proof of rank 1 says."""
        for proof in self.proofs:
            proof.load(iteration)
        with np.errstate(all="ignore"):
            for each in range(SLOTS):
                messages = np.stack([self.views(rank, each)[2] for rank in range(RANKS)])
                for rank in range(RANKS):
                    rows, residual, _, weight = self.views(rank, each)
                    rows[...], residual[...] = rms_norm.reference(messages, residual, weight)
            if mistake:
                mistake(*self.views(1, slot))
        found, words = self.proofs[1].check(iteration)
        changed, change = self.proofs[1].check_inputs(iteration)
        return Errors(found.wrong + changed, units=found.units), words or change


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("exact", [True, False])
def test_right_answers_pass_every_layer(kind: str, exact: bool) -> None:
    ranks = Ranks(a_problem(kind), exact)
    assert ranks.proofs[0].layers == (4 if exact else 3)
    for iteration in range(2 * ranks.proofs[0].layers):
        found, words = ranks.run(iteration)
        assert (found.wrong, words) == (0, None)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("exact", [True, False])
def test_special_values_pass(kind: str, exact: bool) -> None:
    ranks = Ranks(a_problem(kind, hidden=8, rows=400), exact, layers=(patterns.SPECIAL,))
    assert ranks.run(0) == (Errors(), None)
    rows = ranks.views(1, 0)[0].astype(np.float32)
    assert 0.02 < np.isfinite(rows).all(axis=1).mean() < 0.9


def test_calls_of_one_sample_have_other_weights_and_residuals() -> None:
    ranks = Ranks(a_problem())
    ranks.proofs[0].load(0)
    one, other = (ranks.views(0, slot) for slot in (0, 1))
    assert not np.array_equal(one[3], other[3])
    assert not np.array_equal(one[1], other[1])


def last_row(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    rows[-1].view("u2")[:] = 0xFFFF


def no_weight(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    rows[...] = rms_norm.normalised(residual, np.ones_like(weight))


def wrong_scale(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    rows[2] = (rms_norm.unrounded(residual[2:3], weight)[0] * 1.5).astype(rows.dtype)


def another_row(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    rows[3] = rows[2]


def one_bit(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    rows.view("u2")[4, 7] ^= 1


def no_old_residual(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    residual[...] = (residual.astype(np.float32) - old(weight)).astype(residual.dtype)


def old(weight: Values) -> Values:
    """The old residual of the exact layer, beside this weight."""
    start = int(np.flatnonzero((np.lib.stride_tricks.sliding_window_view(TABLE, HIDDEN) == weight).all(axis=1))[0])
    last = patterns.inputs("exact", DTYPES["bfloat16"], "sum", RANKS + 1)[-1]
    entries = (start + np.arange(ROWS * HIDDEN)) % len(last)
    return np.asarray(last[entries].reshape(ROWS, HIDDEN).astype(np.float32))


TABLE = patterns.weights(DTYPES["bfloat16"]).astype(np.float32)


def spoilt_weight(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    weight[3] = 5


def spoilt_message(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    message[1, 2] = 5


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (last_row, "exact layer, row 4 of the normalised output, element 0: never written (expected "),
        (no_weight, "of the normalised output, element 0: the weight is missing (expected "),
        (
            wrong_scale,
            "row 2 of the normalised output, element 0: the scale of the whole row is off by a factor of 1.5",
        ),
        (another_row, "row 3 of the normalised output, element 0: expected "),
        (one_bit, "row 4 of the normalised output, element 7: expected "),
        (no_old_residual, "exact layer, element 0 of the residual: the old residual is missing (expected "),
        (spoilt_weight, "the input was modified, first at element 3 of the weight"),
        (spoilt_message, "the input was modified, first at element 26"),
    ],
)
def test_mistakes_are_named(mistake: Mistake, words: str) -> None:
    found, said = Ranks(a_problem()).run(1, mistake)
    assert found.wrong
    assert said
    assert words in said


def rounded_before_the_weight(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    """As frameworks do that multiply in the element type."""
    once = rms_norm.normalised(residual, np.ones_like(weight))
    rows[...] = (once.astype(np.float32) * weight.astype(np.float32)).astype(rows.dtype)


def five_roundings_off(rows: Values, residual: Values, message: Values, weight: Values) -> None:
    u = DTYPES["bfloat16"].roundoff
    rows[...] = (rms_norm.unrounded(residual, weight) * (1 + 6 * u)).astype(rows.dtype)


@pytest.mark.parametrize(
    ("mistake", "exact", "right"),
    [
        (rounded_before_the_weight, False, True),
        (rounded_before_the_weight, True, False),
        (five_roundings_off, False, False),
    ],
)
def test_rows_in_another_order_pass_within_a_few_roundings(mistake: Mistake, exact: bool, right: bool) -> None:
    ranks = Ranks(a_problem(), exact)
    assert (ranks.run(2, mistake)[0].wrong == 0) == right


def test_rows_are_judged_in_every_slot_and_layer() -> None:
    ranks = Ranks(a_problem())
    for iteration in range(ranks.proofs[0].layers):
        for slot in range(SLOTS):
            assert ranks.run(iteration, one_bit, slot)[0].wrong, (iteration, slot)
