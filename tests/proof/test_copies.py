"""The proof of collectives that copy: right answers pass every layer, and what went astray is found and named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from running import BROKEN, Mpi
from samples import a_problem

from collbench.devices.cpu import Cpu
from collbench.devices.device import Values
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import Problem
from collbench.proof.buffers import Rounds, lay_out, stride_of
from collbench.proof.copies import copies_of
from collbench.proof.patterns import LAYERS
from collbench.proof.proof import Proof

SLOTS = 3
CAUSES = (
    *(f"it holds what rank {one} sends to rank {other}" for one in range(3) for other in range(3)),
    "stale",
    "never written",
)
Run = Callable[[Problem, Sequence[Values], Sequence[Values]], None]  # from all inputs to all outputs


def right(problem: Problem, inputs: Sequence[Values], outputs: Sequence[Values]) -> None:
    for rank, output in enumerate(outputs):
        for piece in problem.pieces(rank):
            part = inputs[piece.sources[0]][piece.origin : piece.origin + piece.count]
            output[piece.start : piece.start + piece.count] = part


def swapped(problem: Problem, inputs: Sequence[Values], outputs: Sequence[Values]) -> None:
    """Rank 1 puts what it receives of ranks 0 and 2 in each other's place."""
    right(problem, inputs, outputs)
    parts = outputs[1].reshape(problem.layout.size, -1)
    parts[[0, 2]] = parts[[2, 0]]


def not_exchanged(problem: Problem, inputs: Sequence[Values], outputs: Sequence[Values]) -> None:
    """Every rank keeps what it should send."""
    for mine, output in zip(inputs, outputs, strict=True):
        output[...] = mine


def to_the_wrong_rank(problem: Problem, inputs: Sequence[Values], outputs: Sequence[Values]) -> None:
    """The parts of rank 2 for ranks 0 and 1 are exchanged."""
    right(problem, inputs, outputs)
    share = problem.count // problem.layout.size
    for rank in (0, 1):
        outputs[rank][2 * share : 3 * share] = inputs[2][(1 - rank) * share : (2 - rank) * share]


def around_the_wrong_way(problem: Problem, inputs: Sequence[Values], outputs: Sequence[Values]) -> None:
    for rank, output in enumerate(outputs):
        output[...] = inputs[(rank + 1) % len(outputs)]


def displaced(problem: Problem, inputs: Sequence[Values], outputs: Sequence[Values]) -> None:
    right(problem, inputs, outputs)
    outputs[1][:-2] = outputs[1][2:].copy()


def cut(problem: Problem, inputs: Sequence[Values], outputs: Sequence[Values]) -> None:
    right(problem, inputs, outputs)
    outputs[1][-1:].view("u1")[...] = 0xFF


class Ranks:
    """The buffers and the proofs of all ranks."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.device = problem, Cpu()
        ranks, rounds = range(problem.layout.size), Rounds(SLOTS, SLOTS, overlap=False)
        self.arenas = [np.zeros(SLOTS * stride_of(problem), np.uint8) for _ in ranks]
        self.buffers = [lay_out(problem, rank, rounds) for rank in ranks]
        self.proofs = [Proof(self.device, self.arenas[rank], self.buffers[rank], problem, rank, None) for rank in ranks]

    def views(self, slot: int, of: str) -> list[Values]:
        """The buffer named ``of`` of one call on every rank."""
        each = zip(self.arenas, self.buffers, strict=True)
        return [self.device.view(arena, getattr(buffers, of), slot) for arena, buffers in each]

    def play(self, iteration: int, run: Run) -> list[tuple[int, str | None]]:
        """What the proof of each rank says of an iteration whose calls are ``run``."""
        for proof in self.proofs:
            proof.load(iteration)
        for slot in range(SLOTS):
            run(self.problem, self.views(slot, "send"), self.views(slot, "recv"))
        found = [proof.check(iteration) for proof in self.proofs]
        changed = [proof.check_inputs(iteration) for proof in self.proofs]
        return [
            (errors.wrong + count, words or change)
            for (errors, words), (count, change) in zip(found, changed, strict=True)
        ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "counts"),
    [("all_to_all", [(3, 1), (3, 700), (2, 20_000)]), ("send", [(2, 1), (2, 7), (2, 40_000)])],
)
def test_right_answers_pass_every_layer(name: str, counts: list[tuple[int, int]], dtype: str) -> None:
    for ranks, each in counts:
        width = DTYPES[dtype].itemsize * (ranks if name == "all_to_all" else 1)
        played = Ranks(a_problem(name, dtype, ranks, size=each * width))
        for iteration in range(2 * len(LAYERS)):
            assert played.play(iteration, right) == [(0, None)] * ranks


@pytest.mark.parametrize("iteration", range(len(LAYERS)))
@pytest.mark.parametrize(
    ("name", "ranks", "mistake", "words"),
    [
        ("all_to_all", 3, swapped, {1: (0, "it holds what rank 2 sends to rank 1")}),
        ("all_to_all", 3, not_exchanged, {0: (100, "it holds what rank 0 sends to rank 1"),
                                          1: (0, "it holds what rank 1 sends to rank 0"),
                                          2: (0, "it holds what rank 2 sends to rank 0")}),
        ("all_to_all", 3, to_the_wrong_rank, {0: (200, "it holds what rank 2 sends to rank 1"),
                                              1: (200, "it holds what rank 2 sends to rank 0")}),
        ("all_to_all", 3, cut, {1: (299, "never written")}),
        ("all_gather", 3, swapped, {1: (0, "it holds what rank 2 sends")}),
        ("send_recv", 3, around_the_wrong_way, {0: (0, "it holds what rank 1 sends to rank 2"),
                                                1: (0, "it holds what rank 2 sends to rank 0"),
                                                2: (0, "it holds what rank 0 sends to rank 1")}),
        ("send", 2, cut, {1: (299, "never written")}),
    ],
)  # fmt: skip
def test_mistakes_are_found_and_named_in_every_layer(
    name: str, ranks: int, mistake: Run, words: dict[int, tuple[int, str]], iteration: int
) -> None:
    found = Ranks(a_problem(name, ranks=ranks, size=1200)).play(iteration, mistake)
    assert {rank for rank, (wrong, _) in enumerate(found) if wrong} == words.keys()
    for rank, (element, cause) in words.items():
        text = found[rank][1] or ""
        assert text.startswith(f"{LAYERS[iteration]} layer, element {element}: {cause} (expected "), text


def test_parts_with_the_same_codes_differ_in_the_other_layers() -> None:
    # The codes of rank 1 start 1021 entries after those of rank 0, as the part of rank 0 for rank 1 does.
    played = Ranks(a_problem("all_to_all", ranks=2, size=2 * 1021 * 4))
    found = [played.play(iteration, not_exchanged)[0] for iteration in range(len(LAYERS))]
    assert [wrong for wrong, _ in found] == [0, SLOTS * 1021, SLOTS * 1021]
    assert all("element 1021: it holds what rank 0 sends to rank 1" in (words or "") for _, words in found[1:])


def test_a_message_out_of_place_by_some_elements_is_displaced() -> None:
    found = Ranks(a_problem("send", ranks=2, size=1200)).play(0, displaced)
    assert found[0] == (0, None)
    assert "displaced: it belongs 2 elements later" in (found[1][1] or "")


@pytest.mark.parametrize(("name", "ranks"), [("all_to_all", 3), ("send", 2)])
def test_an_earlier_answer_is_stale(name: str, ranks: int) -> None:
    played = Ranks(a_problem(name, ranks=ranks, size=1200))
    kept: list[Values] = []

    def stale(problem: Problem, inputs: Sequence[Values], outputs: Sequence[Values]) -> None:
        right(problem, inputs, outputs)
        last, kept[:] = list(kept), [output.copy() for output in outputs]
        for output, old in zip(outputs, last, strict=False):
            output[...] = old

    found = played.play(0, stale)
    assert all("stale: the answer of an earlier call" in (words or "") for wrong, words in found if wrong)
    assert [wrong > 0 for wrong, _ in found] == [name == "all_to_all" or rank == 1 for rank in range(ranks)]


def test_the_sender_of_a_send_has_an_empty_output_between_guards() -> None:
    played = Ranks(a_problem("send", ranks=2, size=64))
    own = replace(played.buffers[0].recv, count=16)

    def back(problem: Problem, inputs: Sequence[Values], outputs: Sequence[Values]) -> None:
        """The message lands where the sender would receive one."""
        for slot in range(SLOTS):
            played.device.view(played.arenas[0], own, slot)[...] = inputs[0]

    found = played.play(0, back)
    assert found[0] == (SLOTS * 64, f"{SLOTS * 64} bytes were written outside the output")
    assert "element 0: never written" in (found[1][1] or "")


def test_parts_are_known_by_who_receives_them() -> None:
    assert copies_of(a_problem()) == ()
    words = {name: [each.words for each in copies_of(a_problem(name, ranks=2))]
             for name in ("all_gather", "all_to_all", "send")}  # fmt: skip
    assert words == {
        "all_gather": ["what rank 0 sends", "what rank 1 sends"],
        "all_to_all": [
            "what rank 0 keeps",
            "what rank 1 sends to rank 0",
            "what rank 0 sends to rank 1",
            "what rank 1 keeps",
        ],
        "send": ["what rank 0 sends to rank 1"],
    }


def test_a_sweep_names_what_went_astray(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep", "--collective", "all_to_all,send", "--ranks", "2,3", "--sizes", "1200", "--samples", "2",
        "--backend", "mpi,swaps-parts,turns-parts,sends-stale,sends-to-itself", "--max-seconds", "0.02", "-o", "r.csv",
        ranks=3, PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code == 3, ran.err
    rows = {(row.collective, row.backend, row.ranks): row for row in mpich.rows()}
    assert {key for key, row in rows.items() if row.status == "ok"} == {
        ("all_to_all", "mpi", 2), ("all_to_all", "mpi", 3), ("send", "mpi", 2),
    }  # fmt: skip
    causes = {key: row.reason for key, row in rows.items() if row.status == "wrong"}
    assert {key: next((cause for cause in CAUSES if cause in words), words) for key, words in causes.items()} == {
        ("all_to_all", "swaps-parts", 2): "it holds what rank 1 sends to rank 0",
        ("all_to_all", "swaps-parts", 3): "it holds what rank 2 sends to rank 0",
        ("all_to_all", "turns-parts", 2): "it holds what rank 0 sends to rank 1",
        ("all_to_all", "turns-parts", 3): "it holds what rank 0 sends to rank 2",
        ("all_to_all", "sends-stale", 2): "stale",
        ("all_to_all", "sends-stale", 3): "stale",
        ("send", "sends-stale", 2): "stale",
        ("send", "sends-to-itself", 2): "never written",
    }
