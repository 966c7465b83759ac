"""Casts: the kernels, compiled for a few types, operations and launch shapes, that the scenes of a trial draw from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import TypeVar

from collbench.kernels.abi import Scratch
from collbench.kernels.kernel import OUTBOX_SLACK, Kernel, plain
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES, Dtype
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.verify.emulator import PAGE

T = TypeVar("T")
LEADS, OTHERS = 3, 1  # builds of the kernel on trial, and of each other kernel: every one takes a compiler a second
HIDDEN = (8, 24, 40, 128, 520)  # lengths of rows: one cell, cells that are no power of two, and more than a warp's
NARROW = (32, 64)  # threads per block, besides the most that a kernel declares, which leave each the fewest registers


@dataclass(frozen=True)
class Build:
    """A kernel, its own parameters fixed, compiled for one element type, operation ("" where nothing is reduced),
    number of threads per block, and length of rows (0 where there are none)."""

    kernel: Kernel
    dtype: Dtype
    op: str
    threads: int
    hidden: int = 0

    @property
    def everywhere(self) -> bool:
        """Whether it needs loads and stores to every rank."""
        return self.kernel.file.nodes == "one"

    def problem(self, layout: Layout, size: int, in_place: bool = False) -> Problem:
        """Its problem on ``size`` bytes."""
        collective = COLLECTIVES[self.kernel.file.collective]
        return Problem(layout, collective, self.dtype, self.op, size, "chain", "hot", in_place, self.hidden)

    def runs(self, layout: Layout, size: int) -> bool:
        """Whether it can run a message of ``size`` bytes."""
        problem = self.problem(layout, size)
        return not (problem.refusal() or self.kernel.refuses(problem))


@dataclass(frozen=True)
class Cast:
    """What scenes on ``layout`` draw from: builds of the kernel on trial (``leads``) and of ``others`` that share its
    communicators, ``sizes`` in bytes, and a ``scratch`` that holds them all."""

    layout: Layout
    leads: tuple[Build, ...]
    others: tuple[Build, ...]
    sizes: tuple[int, ...]
    scratch: Scratch


def cast_of(
    kernel: Kernel, others: Iterable[Kernel], layout: Layout, dtypes: Sequence[str], ops: Sequence[str],
    sizes: Sequence[int], number: int,
) -> Cast:  # fmt: skip
    """The cast number ``number`` of a trial of ``kernel``, limited to these types, operations and sizes (bytes).

    ``others``: kernels for its communicators; those that cannot run on ``layout`` are left out.
    """
    company = [each for each in others if each.file.name != kernel.file.name]
    leads = _able(_builds(kernel, layout, dtypes, ops, number), layout, sizes)[:LEADS]
    found = [_builds(each, layout, each.file.dtypes, each.file.ops, number)[:OTHERS] for each in company]
    runs = [build for builds in found for build in _able(builds, layout, sizes)]
    scratch = scratch_for([kernel, *(each.kernel for each in runs)], layout, max(sizes))
    return Cast(layout, leads, tuple(runs), tuple(sizes), scratch)


def _able(builds: Iterable[Build], layout: Layout, sizes: Sequence[int]) -> tuple[Build, ...]:
    """Those that can run one of ``sizes``: a message may be shorter than a row."""
    return tuple(build for build in builds if any(build.runs(layout, size) for size in sizes))


def _builds(
    kernel: Kernel, layout: Layout, dtypes: Sequence[str], ops: Sequence[str], number: int
) -> tuple[Build, ...]:
    """Builds of a kernel in which all its types, operations, numbers of threads and parameters take turns."""
    file, draw = kernel.file, Random(f"builds of {kernel.file.name}, {layout.node_count}x{layout.per_node}, {number}")
    most = [] if COLLECTIVES[file.collective].normalises else [max(file.threads)]  # a block sums a row: slow here
    widths = [kernel.parameters["threads"]] if "threads" in kernel.parameters else [*NARROW, *most]
    own = [[(name, one) for one in values] for name, values in file.defines.items() if name not in kernel.parameters]
    kernels = [Kernel(file, {**dict(each), **kernel.parameters}) for each in product(*own)]
    kinds = [DTYPES[name] for name in dtypes]
    reductions = list(ops) if COLLECTIVES[file.collective].reduces else [""]
    lengths = HIDDEN if COLLECTIVES[file.collective].normalises else (0,)
    count = max(len(kernels), len(kinds), len(reductions), len(widths), len(lengths))
    return tuple(
        map(
            Build,
            _in_turns(kernels, count, draw),
            _in_turns(kinds, count, draw),
            _in_turns(reductions, count, draw),
            _in_turns(widths, count, draw),
            _in_turns(lengths, count, draw),
        )
    )


def _in_turns(choices: Sequence[T], count: int, draw: Random) -> list[T]:
    """``count`` of the choices: all of them in random order, again and again."""
    order = draw.sample(choices, len(choices))
    return [order[turn % len(order)] for turn in range(count)]


def scratch_for(kernels: Iterable[Kernel], layout: Layout, room: int) -> Scratch:
    """The smallest scratch in which each of ``kernels`` can send messages of ``room`` bytes, whatever their type."""
    flagged = lamport = outbox = PAGE
    for kernel in kernels:
        for name in kernel.file.dtypes:
            hidden = HIDDEN[0] if COLLECTIVES[kernel.file.collective].normalises else 0
            problem = Build(kernel, DTYPES[name], "", 0, hidden).problem(layout, room)
            data, tiles = int(kernel.formula(kernel.file.scratch, problem, room)), kernel.tiles_bytes(problem)
            if kernel.flagged(problem):
                flagged = max(flagged, 2 * data + tiles)
            else:
                lamport = max(lamport, data + tiles)
            outbox = max(outbox, OUTBOX_SLACK + int(kernel.outbox_bytes(problem, room)))
    flagged = max(flagged, lamport // 2)  # notes on escaped cells
    return Scratch(*(-(-half // PAGE) * PAGE for half in (flagged, lamport, outbox)))


def words_of(kernel: Kernel) -> str:
    """The name of a kernel with its own parameters, as on the command line."""
    own = [f"{plain(name)}={kernel.parameters[name]}" for name in kernel.file.defines if name in kernel.parameters]
    return ":".join([kernel.file.name, *own])
