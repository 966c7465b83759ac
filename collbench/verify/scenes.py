"""Scenes: what the emulator plays in one run, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from collbench.kernels.abi import FIRST_EPOCH, Scratch
from collbench.kernels.kernel import Kernel
from collbench.plan.layout import Layout, number_nodes
from collbench.plan.problem import Problem
from collbench.tables import counted
from collbench.verify.casts import Build, Cast, words_of
from collbench.verify.schedules import Schedule, draw
from collbench.verify.stories import chains, off_by_one

SLOTS = 3  # calls of each part: both halves of the scratch, and the first one again
MOST_THREADS = 8192  # of all ranks together, so that a run takes a few seconds at most
MOST_SENT = 1 << 20  # bytes that all ranks send in a call, for the same reason
MOST_CELLS = 100_000  # of the flagged halves of all ranks: with more, few scenes clear them


@dataclass(frozen=True)
class Part:
    """Calls of one kernel on one problem. ``kernel`` has its own parameters fixed; ``shape`` is (blocks, threads);
    ``shifts``: elements by which the input and the output are misaligned; ``layer``: number of the first call's layer
    of proof, -1 for special values."""

    kernel: Kernel
    problem: Problem
    shape: tuple[int, int]
    shifts: tuple[int, int] = (0, 0)
    layer: int = 0

    def __str__(self) -> str:
        problem, (blocks, threads) = self.problem, self.shape
        what = " ".join(filter(None, [words_of(self.kernel), problem.dtype.name, problem.op]))
        size = f"{problem.bytes} B" + " in place" * problem.in_place + off_by_one(self.shifts)
        return f"{what}, {size}, {counted(blocks, 'block')} of {threads} threads"


@dataclass(frozen=True)
class EmulatedScene:
    """One run: calls of ``parts`` in turns on ``comms`` communicators whose memory is ``scratch``.

    ``pes`` holds the PE at each place. ``joined``: loads and stores reach every rank, not only those of the same node.
    ``chained``: every part's calls run in sequence, and each reads what the one before wrote. ``silent``: the place of
    a rank that makes no calls, or None.
    """

    parts: tuple[Part, ...]
    comms: int
    first_epoch: int
    scratch: Scratch
    schedule: Schedule
    pes: tuple[int, ...]
    joined: bool = True
    chained: bool = False
    silent: int | None = None

    @property
    def layout(self) -> Layout:
        """The layout of its ranks."""
        return self.parts[0].problem.layout

    def __str__(self) -> str:
        layout = self.layout
        nodes = f"; nodes of the ranks: {_list(layout.nodes)}" if sorted(layout.nodes) != list(layout.nodes) else ""
        pes = f"; PEs in order of node: {_list(self.pes)}" if sorted(self.pes) != list(self.pes) else ""
        near = " near the wrap of the epoch" if self.first_epoch != FIRST_EPOCH else ""
        comms = f" on {self.comms} communicators" if self.comms > 1 else ""
        chained = ", each call on the output of the one before" if self.chained else ""
        return f"{'; '.join(map(str, self.parts))}{chained}{comms}{near}{nodes}{pes}; {self.schedule}"


def _list(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


def draw_scene(cast: Cast, seed: int) -> EmulatedScene:
    """Draw the scene of a seed; each of ``cast.leads`` must be able to run one of the sizes."""
    lead = cast.leads[0]
    rng = Random(f"scene {seed} of {lead.kernel.file.name} on {cast.layout.nodes}")
    layout, places = _shuffled(cast.layout, rng), range(cast.layout.size)
    joined = lead.everywhere or layout.node_count == 1 or rng.random() < 0.5
    first_epoch = _first_epoch(cast, rng)
    others = [each for each in cast.others if joined or not each.everywhere]
    more = range(rng.randint(int(first_epoch != FIRST_EPOCH), 2))
    builds = [rng.choice(cast.leads)]
    builds += [rng.choice(others if others and rng.random() < 0.5 else cast.leads) for _ in more]
    chained = all(chains(build.kernel.file.collective, build.op) for build in builds) and rng.random() < 0.2
    parts = tuple(_part(build, layout, cast.sizes, chained, rng) for build in builds)
    blocks, threads = (max(part.shape[axis] for part in parts) for axis in range(2))
    return EmulatedScene(
        parts=parts,
        comms=rng.choice((1, 1, 2)),
        first_epoch=first_epoch,
        scratch=cast.scratch,
        schedule=draw(rng.getrandbits(63), layout.size, blocks, threads),
        pes=tuple(rng.sample(places, layout.size)) if rng.random() < 0.5 else tuple(places),
        joined=joined,
        chained=chained,
    )


def _shuffled(layout: Layout, rng: Random) -> Layout:
    """The layout, or one with the same nodes whose ranks are not in their order."""
    if layout.node_count == 1 or rng.random() < 0.5:
        return layout
    nodes = number_nodes([str(node) for node in rng.sample(layout.nodes, layout.size)])
    return replace(layout, nodes=nodes)


def _first_epoch(cast: Cast, rng: Random) -> int:
    """The first epoch of all, or one of the last of the first or second era: most calls follow the wrap."""
    cells = 2 * cast.scratch.flagged_half // 16 * cast.layout.size
    if rng.random() > (0.35 if cells <= MOST_CELLS else 0.1):
        return FIRST_EPOCH
    return (rng.choice((1, 2)) << 32) - rng.choice((1, 2, 3))


def _part(build: Build, layout: Layout, sizes: Sequence[int], chained: bool, rng: Random) -> Part:
    whole = [build.problem(layout, size) for size in sizes if build.runs(layout, size)]
    few = [each for each in whole if build.kernel.wire_bytes(each) * layout.size <= MOST_SENT]
    problem = rng.choice(few or whole[:1])
    most = max(1, min(5, MOST_THREADS // layout.size // build.threads))
    in_place = not chained and problem.collective.in_place is not None and rng.random() < 0.3
    shift = (1, 1) if in_place else rng.choice(((1, 1), (1, 0), (0, 1)))
    special = build.dtype.is_float and rng.random() < 0.15
    return Part(
        kernel=build.kernel,
        problem=replace(problem, in_place=in_place),
        shape=(build.kernel.parameters.get("blocks") or rng.randint(1, most), build.threads),
        shifts=shift if rng.random() < 0.3 else (0, 0),
        layer=-1 if special else rng.randrange(4),
    )


def with_silent_rank(scene: EmulatedScene, place: int) -> EmulatedScene:
    """A copy in which the rank at ``place`` makes no calls: all others must time out, and report the reason."""
    return replace(scene, silent=place, parts=scene.parts[:1], comms=1, chained=False)
