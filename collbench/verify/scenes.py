"""Scenes: single runs of the emulator with calls drawn from a seed, whose answers are proven as on real ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, cast

import numpy as np

from collbench.backends._kernels import order_of
from collbench.devices.cpu import Cpu
from collbench.devices.device import Array, Values
from collbench.kernels import host_compiler
from collbench.kernels.abi import FIRST_EPOCH, LAST_EPOCHS, Scratch
from collbench.kernels.host_compiler import EMULATED
from collbench.kernels.kernel import Kernel
from collbench.kernels.slices import slices
from collbench.plan.collectives import COLLECTIVES, Collective
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.proof import patterns
from collbench.proof.buffers import ALIGNMENT, Rounds, lay_out, stride_of
from collbench.proof.prepared import Prepared
from collbench.tables import counted
from collbench.verify.emulator import HANGS, PAGE, Comms, Emulator, Ending, load
from collbench.verify.emulator import WORDS as ENDINGS
from collbench.verify.schedules import Schedule, draw

if TYPE_CHECKING:
    from collbench.backends import Backend, Session

SLOTS = 3  # calls of each problem: both parities of a double buffer, and the first one again
MOST_THREADS = 8192  # of all ranks together, so that a run takes a few seconds at most


@dataclass(frozen=True)
class EmulatedScene:
    """One run: interleaved calls of ``problems`` on ``comms`` communicators, launched with ``shape`` (blocks, threads).

    ``room``: bytes of the largest message that the scratch holds; the same for all seeds, since a kernel is compiled
    for it. ``shift``: elements by which all buffers are misaligned. ``layer``: number of the first call's layer of
    proof, -1 for special values. ``silent``: the place of a rank that makes no calls, or None.
    """

    problems: tuple[Problem, ...]
    comms: int
    shape: tuple[int, int]
    first_epoch: int
    room: int
    shift: int
    layer: int
    schedule: Schedule
    silent: int | None = None

    def __str__(self) -> str:
        first = self.problems[0]
        sizes = ", ".join(f"{problem.bytes} B" + " in place" * problem.in_place for problem in self.problems)
        near = " near the wrap of the epoch" if self.first_epoch != FIRST_EPOCH else ""
        comms = f" on {self.comms} communicators" if self.comms > 1 else ""
        odd = ", off by one element" if self.shift else ""
        blocks, threads = self.shape
        what = f"{first.dtype.name} {first.op}, {sizes}{odd}{comms}{near}"
        return f"{what}, {counted(blocks, 'block')} of {threads} threads; {self.schedule}"


@dataclass(frozen=True)
class SceneResult:
    """The result of a scene: ``calls`` checked on every rank, ``events`` of the emulator, what was wrong (or ""),
    which rank waited for which (``waits``), and whether that was all: a deadlock or a livelock (``hang``)."""

    scene: EmulatedScene
    calls: int
    events: int
    wrong: str
    waits: tuple[str, ...] = ()
    hang: bool = False


def draw_scene(
    layout: Layout,
    seed: int,
    dtypes: Sequence[str],
    ops: Sequence[str],
    sizes: Sequence[int],
    collective: Collective = COLLECTIVES["all_reduce"],
) -> EmulatedScene:
    """Draw the scene of a seed; some of ``sizes`` (bytes) must hold whole elements of each of ``dtypes``."""
    rng = Random(f"scene {seed}")
    kind = (layout, collective, DTYPES[rng.choice(dtypes)], rng.choice(ops) if collective.reduces else "")
    whole = [size for size in sizes if not Problem(*kind, size, "chain", "hot", False).refusal()]
    chosen = rng.sample(whole, min(len(whole), rng.choice((1, 2, 3))))
    problems = tuple(Problem(*kind, size, "chain", "hot", rng.random() < 0.3) for size in chosen)
    threads = rng.choice((32, 64))
    most = max(1, min(5, MOST_THREADS // layout.size // threads))
    shape = (rng.randint(1, most), threads)
    special = kind[2].is_float and rng.random() < 0.15
    return EmulatedScene(
        problems=problems,
        comms=rng.choice((1, 1, 2)),
        shape=shape,
        first_epoch=rng.choice((FIRST_EPOCH, FIRST_EPOCH, LAST_EPOCHS)),
        room=max(sizes),
        shift=int(rng.random() < 0.2),
        layer=-1 if special else rng.randrange(4),
        schedule=draw(seed, layout.size, *shape),
    )


def scratch_for(kernel: Kernel, problem: Problem, room: int) -> Scratch:
    """The smallest scratch for messages of ``room`` bytes; ``problem`` has their type, operation and layout."""
    need = int(kernel.formula(kernel.file.scratch, problem, room)) + kernel.tiles_bytes(problem)
    half = -(-need // PAGE) * PAGE
    return Scratch(2 * half, PAGE) if kernel.flagged(problem) else Scratch(half, half)


class EmulatedStage:
    """A scene set up in the emulator: the memory of every rank, its calls, and the proof of their answers."""

    def __init__(self, kernel: Kernel, scene: EmulatedScene) -> None:
        first = scene.problems[0]
        self._kernel, self._scene, self.layout = kernel, scene, first.layout
        self.ranks = [int(rank) for rank in np.argsort(self.layout.nodes, kind="stable")]
        scratch = scratch_for(kernel, first, max(scene.room, *(problem.bytes for problem in scene.problems)))
        parameters = {name: values[0] for name, values in kernel.file.defines.items()} | dict(kernel.parameters)
        options = kernel.defines(first, {**parameters, "threads": scene.shape[1]}, scratch)
        self._loaded = load(host_compiler.kernel_library(kernel.file, options, EMULATED), kernel.file.symbol)
        comms = Comms(scene.comms, scratch, scene.first_epoch)
        blocks, threads = scene.shape
        self.emulator = Emulator(scene.schedule, self.layout.size, comms, blocks * threads)
        self._device = Cpu()
        self._expected: dict[int, Values] = {}
        places = range(self.layout.size)
        self.calls = [[self._prepare(place, problem) for problem in scene.problems] for place in places]

    def _prepare(self, place: int, problem: Problem) -> list[Prepared]:
        """The calls of ``problem`` on the rank at ``place``, for every communicator."""
        rank, off = self.ranks[place], self._scene.shift * problem.dtype.itemsize
        stretch = SLOTS * stride_of(problem) + ALIGNMENT
        layers = (patterns.SPECIAL,) if self._scene.layer < 0 else ()
        found = []
        for comm in range(self._scene.comms):
            raw = np.zeros(stretch + ALIGNMENT, np.uint8)
            begin = -raw.ctypes.data % ALIGNMENT + off
            buffers = lay_out(problem, rank, Rounds(SLOTS, SLOTS, overlap=False))
            session = cast("Session", _Call(self, place, comm))
            arena = raw[begin : begin + stretch - off]
            first = max(0, self._scene.layer) + comm
            found.append(
                Prepared(
                    self._device, cast("Backend", self), session, problem, rank, arena, buffers, layers, first=first
                )
            )
        return found

    @property
    def EXACT_NORM(self) -> bool:  # noqa: N802 (the protocol's name)
        """Whether the kernel's header names an order, as for a backend."""
        return self._kernel.file.order is not None

    def exact_order(self, problem: Problem) -> Callable[[Values], Values] | None:
        """The kernel's order of operations; computed once, since every rank expects the same result."""
        order = order_of(self._kernel.file, problem)
        return partial(self._once, order) if order else None

    def _once(self, order: Callable[[Values], Values], inputs: Values) -> Values:
        if id(inputs) not in self._expected:  # inputs are shared between ranks and stay alive
            self._expected[id(inputs)] = order(inputs)
        return self._expected[id(inputs)]

    def reached(self, place: int) -> list[bool]:
        """Whether loads and stores reach each place: all if the kernel requires it, else those of the same node."""
        nodes = [self.layout.nodes[rank] for rank in self.ranks]
        return [self._kernel.file.nodes == "one" or node == nodes[place] for node in nodes]

    def launch(self, place: int, comm: int, problem: Problem, send: Array, recv: Array) -> None:
        """Enqueue one call, except on the silent rank."""
        if place != self._scene.silent:
            (whole,) = slices(problem, send, recv, problem.count)
            buffers = (send.ctypes.data, recv.ctypes.data)
            self.emulator.launch(
                place, comm, self._loaded, buffers, whole.count, self.reached(place), self._scene.shape, whole.part,
                self.ranks,
            )  # fmt: skip


@dataclass(frozen=True)
class _Call:
    """The part of ``backends.Session`` that ``Prepared`` uses."""

    stage: EmulatedStage
    place: int
    comm: int

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Callable[[], None]:
        """A function that enqueues one call."""
        return partial(self.stage.launch, self.place, self.comm, problem, send, recv)


def run_scene(kernel: Kernel, scene: EmulatedScene) -> SceneResult:
    """Run a scene and prove every answer on every rank. Raises KernelError if the kernel does not compile."""
    stage = EmulatedStage(kernel, scene)
    try:
        with np.errstate(all="ignore"):  # special values overflow by design
            return _run(stage, scene)
    finally:
        stage.emulator.close()


def _run(stage: EmulatedStage, scene: EmulatedScene) -> SceneResult:
    everything = [each for problems in stage.calls for comms in problems for each in comms]
    for each in everything:
        each.load()
    calls = [(w, c, slot) for slot in range(SLOTS) for w in range(len(scene.problems)) for c in range(scene.comms)]
    Random(scene.schedule.seed).shuffle(calls)
    for number, comm, slot in calls:
        for problems in stage.calls:
            problems[number][comm].calls[slot]()
    ending = stage.emulator.run()
    result = partial(SceneResult, scene, len(calls), stage.emulator.events)
    if scene.silent is not None:
        return result(_did_not_time_out(stage, scene.silent))
    if ending is not Ending.DONE:
        return result(ENDINGS[ending], tuple(stage.emulator.waits(stage.ranks)), ending in HANGS)
    same_everywhere = scene.problems[0].collective.name == "all_reduce"
    for place, problems in enumerate(stage.calls):
        for problem, prepared in zip(scene.problems, problems, strict=True):
            for comm, each in enumerate(prepared):
                words = each.check_all()[1] or (
                    same_everywhere and _difference(each, stage.calls[0][scene.problems.index(problem)][comm])
                )
                if words:
                    rank = stage.ranks[place]
                    where = f"rank {rank}, {problem.bytes} B{' in place' * problem.in_place}"
                    return result(f"{where}: {words}", tuple(stage.emulator.waits(stage.ranks, rank)))
    return result("")


def _did_not_time_out(stage: EmulatedStage, silent: int) -> str:
    """Which rank did not time out although the rank at ``silent`` made no calls, or ""."""
    others = (place for place in range(stage.layout.size) if place != silent and not stage.emulator.gave_up(place))
    first = next(others, None)
    if first is None:
        return ""
    return f"rank {stage.ranks[first]} did not time out although rank {stage.ranks[silent]} made no calls"


def _difference(mine: Prepared, theirs: Prepared) -> str | None:
    """The first element in which two ranks' answers differ bitwise, in words, or None."""
    for number in range(mine.answers):
        one, other = (each.answer(number).view(f"u{mine.problem.dtype.itemsize}") for each in (mine, theirs))
        if not np.array_equal(one, other):
            first = int(np.argmax(one != other))
            return f"element {first} of call {number} differs bitwise from the first rank"
    return None


def with_silent_rank(scene: EmulatedScene, place: int) -> EmulatedScene:
    """A copy in which the rank at ``place`` makes no calls: all others must time out, and report the reason."""
    return replace(scene, silent=place, problems=scene.problems[:1], comms=1)
