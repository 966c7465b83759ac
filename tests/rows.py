"""Scenes of all_reduce_rms_norm in the emulator, whose answers must have the bits of the documented arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np
from emulated import a_layout
from numpy.typing import NDArray

from collbench.backends._kernels import order_of
from collbench.kernels import host_compiler
from collbench.kernels.abi import FIRST_EPOCH, LAST_EPOCHS, Scratch
from collbench.kernels.kernel import Kernel
from collbench.plan import rms_norm
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import Problem
from collbench.verify.emulator import PAGE, WORDS, Comms, Emulator, Ending, load
from collbench.verify.schedules import Schedule, draw

Values = NDArray[Any]
GUARD = 64  # elements around every buffer that a kernel writes, and must not


def a_row_problem(layout: str, dtype: str, hidden: int, rows: int) -> Problem:
    """A message of ``rows`` rows on a layout of virtual nodes, such as 2x2."""
    collective, kind = COLLECTIVES["all_reduce_rms_norm"], DTYPES[dtype]
    size = rows * hidden * kind.itemsize
    return Problem(a_layout(layout), collective, kind, "sum", size, "chain", "hot", False, hidden)


@dataclass(frozen=True)
class RowScene:
    """Calls of a kernel on ``problems`` in turn. ``shifts``: elements by which message, output, weight and residual
    are misaligned. ``in_place``: rows are written over the message; ``silent``: the place of a rank without calls."""

    problems: tuple[Problem, ...]
    shape: tuple[int, int]
    shifts: tuple[int, int, int, int]
    in_place: bool
    first_epoch: int
    schedule: Schedule
    silent: int | None = None


THREADS = (16, 32, 64, 96, 128)  # of a block


def draw_rows(
    layout: str, dtype: str, hidden: Sequence[int], rows: Sequence[int], seed: int, threads: Sequence[int] = THREADS
) -> RowScene:
    """The scene of a seed: three to five calls on rows of one length."""
    rng = Random(f"rows {layout} {dtype} {seed}")
    length = rng.choice(hidden)
    problems = tuple(a_row_problem(layout, dtype, length, rng.choice(rows)) for _ in range(rng.randint(3, 5)))
    shape = (rng.randint(1, 3), rng.choice(threads))
    odd = (rng.randrange(8), rng.randrange(8), rng.randrange(8), rng.randrange(8))
    shifts = rng.choice(((0, 0, 0, 0), (0, 0, 0, 0), (1, 1, 1, 1), odd))
    return RowScene(
        problems, shape, shifts, rng.random() < 0.3, rng.choice((FIRST_EPOCH, LAST_EPOCHS)),
        draw(seed, problems[0].layout.size, *shape),
    )  # fmt: skip


@dataclass
class Operands:
    """The buffers of one rank in one call, each with guards around it."""

    message: Values
    weight: Values
    residual: Values
    shifts: tuple[int, int, int, int]
    in_place: bool
    memory: list[Values] = field(init=False)

    def __post_init__(self) -> None:
        given = (self.message, np.full_like(self.message, -7), self.weight, self.residual)
        self.memory = [_guarded(each, shift) for each, shift in zip(given, self.shifts, strict=True)]

    @property
    def addresses(self) -> tuple[int, ...]:
        """Of input, output, weight and residual."""
        message, *others = (each[GUARD:].ctypes.data for each in self.memory)
        return (message, message, *others[1:]) if self.in_place else (message, *others)

    def wrong(self, normalised: Values, residual: Values) -> str:
        """Which buffer does not hold what it should, or ""."""
        output = 0 if self.in_place else 1
        want = [self.message, np.full_like(self.message, -7), self.weight, residual]
        want[output] = normalised
        for name, mine, expected in zip(("message", "rows", "weight", "residual"), self.memory, want, strict=True):
            inside = mine[GUARD:-GUARD].view(np.uint16)
            unlike = np.flatnonzero(inside != expected.view(np.uint16))
            if len(unlike):
                return f"{name}: {len(unlike)} elements, first {unlike[0]}"
            if np.any(mine[:GUARD] != 3) or np.any(mine[-GUARD:] != 3):
                return f"{name}: a guard is overwritten"
        return ""


def _guarded(values: Values, shift: int) -> Values:
    """A copy with guards, whose first element is ``shift`` elements off an alignment of 16 bytes."""
    raw = np.full(values.size + 2 * GUARD + 16, 3, values.dtype)
    begin = (-(raw.ctypes.data // values.itemsize) % 8) + shift
    whole: Values = raw[begin : begin + values.size + 2 * GUARD]
    whole[GUARD:-GUARD] = values
    return whole


def random_rows(problem: Problem, seed: int) -> tuple[Values, Values, Values]:
    """Messages of all ranks, shape (ranks, count), a residual, shape (count,), and a weight, shape (hidden,)."""
    draws, kind = np.random.default_rng(seed), problem.dtype.numpy
    messages = draws.standard_normal((problem.layout.size, problem.count)).astype(kind)
    residual = draws.standard_normal(problem.count).astype(kind)
    return messages, residual, draws.uniform(0.5, 1.5, problem.hidden).astype(kind)


def expected(kernel: Kernel, problem: Problem, messages: Values, residual: Values, weight: Values) -> Values:
    """The normalised rows and the new residual, shape (2, count)."""
    order = order_of(kernel.file, problem)
    assert order is not None
    fresh = order(np.concatenate([messages, residual[None]]))
    rows = rms_norm.normalised(fresh.reshape(-1, problem.hidden), weight)
    return np.stack([rows.reshape(-1), fresh])


def play(kernel: Kernel, scene: RowScene) -> str:
    """What is wrong with the answers of a scene, or ""."""
    first, (blocks, threads) = scene.problems[0], scene.shape
    ranks = first.layout.size
    largest = max(problem.bytes for problem in scene.problems)
    half = -(-(int(kernel.formula(kernel.file.scratch, first, largest)) + kernel.tiles_bytes(first)) // PAGE) * PAGE
    scratch = Scratch(PAGE, half)
    options = kernel.defines(first, {"threads": threads}, scratch)
    loaded = load(host_compiler.kernel_library(kernel.file, options, host_compiler.EMULATED), kernel.file.symbol)
    emulator = Emulator(scene.schedule, ranks, Comms(1, scratch, scene.first_epoch), blocks * threads)
    try:
        made: list[tuple[list[Operands], Values]] = []
        for number, problem in enumerate(scene.problems):
            messages, residual, weight = random_rows(problem, 100 * scene.schedule.seed + number)
            operands = [Operands(each, weight, residual, scene.shifts, scene.in_place) for each in messages]
            made.append((operands, expected(kernel, problem, messages, residual, weight)))
            for place in (each for each in range(ranks) if each != scene.silent):
                buffers = operands[place].addresses
                emulator.launch(place, 0, loaded, buffers, problem.count, [True] * ranks, scene.shape)
        ending = emulator.run()
        if scene.silent is not None:
            return "" if all(emulator.gave_up(p) for p in range(ranks) if p != scene.silent) else "did not give up"
        if ending is not Ending.DONE:
            return "\n".join([WORDS[ending], *emulator.waits(range(ranks))])
        found = (
            f"call {number}, rank {place}: {words}"
            for number, (operands, want) in enumerate(made)
            for place, each in enumerate(operands)
            if (words := each.wrong(*want))
        )
        return next(found, "")
    finally:
        emulator.close()


def with_silent_rank(scene: RowScene) -> RowScene:
    """One rank makes no calls: all others must give up."""
    return replace(scene, silent=scene.schedule.seed % scene.problems[0].layout.size, problems=scene.problems[:1])
