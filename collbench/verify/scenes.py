"""One run of the emulator: calls of one kernel that a seed draws, every answer proven as on real ranks."""

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
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.proof import patterns
from collbench.proof.buffers import ALIGNMENT, Rounds, lay_out, stride_of
from collbench.proof.prepared import Prepared
from collbench.verify.emulator import PAGE, Comms, Emulator, Ending, load
from collbench.verify.emulator import WORDS as ENDINGS
from collbench.verify.schedules import Schedule, draw

if TYPE_CHECKING:
    from collbench.backends import Backend, Session

SLOTS = 3  # calls of each problem: the parities, and one that uses the first of them again
MOST_THREADS = 8192  # of all ranks together, so that a run takes seconds at most


@dataclass(frozen=True)
class EmulatedScene:
    """What one run does: ``problems`` on ``comms`` communicators in turns, launched with ``shape`` (blocks, threads).

    ``room``: bytes of a message that the scratch must hold; the same for all seeds, since a kernel is compiled for it.
    ``shift``: elements by which all memory is off its alignment. ``layer``: the number of the layer of proof that the
    first call meets, -1 for special values. ``deaf``: the place of a rank that never makes its calls, or None.
    """

    problems: tuple[Problem, ...]
    comms: int
    shape: tuple[int, int]
    first_epoch: int
    room: int
    shift: int
    layer: int
    schedule: Schedule
    deaf: int | None = None

    def __str__(self) -> str:
        first = self.problems[0]
        sizes = ", ".join(f"{problem.bytes} B" + " in place" * problem.in_place for problem in self.problems)
        near = " near the wrap of the epoch" if self.first_epoch != FIRST_EPOCH else ""
        comms = f" on {self.comms} communicators" if self.comms > 1 else ""
        odd = ", off by one element" if self.shift else ""
        blocks, threads = self.shape
        what = f"{first.dtype.name} {first.op}, {sizes}{odd}{comms}{near}"
        return f"{what}, {blocks} blocks of {threads} threads; {self.schedule}"


@dataclass(frozen=True)
class SceneResult:
    """What became of a scene: ``calls`` whose answers were checked on every rank, and what was wrong, or ""."""

    scene: EmulatedScene
    calls: int
    events: int
    wrong: str
    story: tuple[str, ...] = ()


def draw_scene(
    layout: Layout, seed: int, dtypes: Sequence[str], ops: Sequence[str], sizes: Sequence[int]
) -> EmulatedScene:
    """The scene of a seed; ``sizes`` in bytes, of which some hold an element of any of ``dtypes``."""
    dice = Random(f"scene {seed}")
    kind = (layout, COLLECTIVES["all_reduce"], DTYPES[dice.choice(dtypes)], dice.choice(ops))
    whole = [size for size in sizes if not Problem(*kind, size, "chain", "hot", False).refusal()]
    chosen = dice.sample(whole, min(len(whole), dice.choice((1, 2, 3))))
    problems = tuple(Problem(*kind, size, "chain", "hot", dice.random() < 0.3) for size in chosen)
    threads = dice.choice((32, 64))
    most = max(1, min(5, MOST_THREADS // layout.size // threads))
    shape = (dice.randint(1, most), threads)
    special = kind[2].is_float and dice.random() < 0.15
    return EmulatedScene(
        problems=problems,
        comms=dice.choice((1, 1, 2)),
        shape=shape,
        first_epoch=dice.choice((FIRST_EPOCH, FIRST_EPOCH, LAST_EPOCHS)),
        room=max(sizes),
        shift=int(dice.random() < 0.2),
        layer=-1 if special else dice.randrange(4),
        schedule=draw(seed, layout.size, *shape),
    )


def scratch_for(kernel: Kernel, problem: Problem, room: int) -> Scratch:
    """Just enough for a message of ``room`` bytes; ``problem`` is any that it is for."""
    need = int(kernel.formula(kernel.file.scratch, problem, room)) + kernel.tiles_bytes(problem)
    half = -(-need // PAGE) * PAGE
    return Scratch(2 * half, PAGE) if kernel.flagged(problem) else Scratch(PAGE, half)


class EmulatedStage:
    """A scene set up in the emulator: memory of every rank, its calls, and the proof of their answers."""

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
        self.cast = [[self._prepare(place, problem) for problem in scene.problems] for place in range(self.layout.size)]

    def _prepare(self, place: int, problem: Problem) -> list[Prepared]:
        """Calls of ``problem`` on the rank at ``place``, on every communicator."""
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

    def exact_order(self, problem: Problem) -> Callable[[Values], Values] | None:
        """The kernel's order of additions; every rank expects the same, so it is worked out once."""
        order = order_of(self._kernel.file, problem)
        return partial(self._once, order) if order else None

    def _once(self, order: Callable[[Values], Values], inputs: Values) -> Values:
        if id(inputs) not in self._expected:  # tables of inputs are shared, and stay
            self._expected[id(inputs)] = order(inputs)
        return self._expected[id(inputs)]

    def reached(self, place: int) -> list[bool]:
        """Which places this one's loads and stores reach: all, or, for a kernel that can do without, its node's."""
        nodes = [self.layout.nodes[rank] for rank in self.ranks]
        return [self._kernel.file.nodes == "one" or node == nodes[place] for node in nodes]

    def launch(self, place: int, comm: int, problem: Problem, send: Array, recv: Array) -> None:
        """Enqueue one call."""
        if place != self._scene.deaf:
            buffers = (send.ctypes.data, recv.ctypes.data)
            self.emulator.launch(
                place, comm, self._loaded, buffers, problem.count, self.reached(place), self._scene.shape
            )


@dataclass(frozen=True)
class _Call:
    """Implements what ``Prepared`` needs of ``backends.Session``."""

    stage: EmulatedStage
    place: int
    comm: int

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Callable[[], None]:
        """A call that enqueues itself."""
        return partial(self.stage.launch, self.place, self.comm, problem, send, recv)


def play(kernel: Kernel, scene: EmulatedScene) -> SceneResult:
    """Run a scene and prove every answer on every rank. Raises KernelError where the kernel does not compile."""
    stage = EmulatedStage(kernel, scene)
    try:
        with np.errstate(all="ignore"):  # special values are meant to overflow
            return _played(stage, scene)
    finally:
        stage.emulator.close()


def _played(stage: EmulatedStage, scene: EmulatedScene) -> SceneResult:
    everything = [each for problems in stage.cast for comms in problems for each in comms]
    for each in everything:
        each.load()
    calls = [(w, c, slot) for slot in range(SLOTS) for w in range(len(scene.problems)) for c in range(scene.comms)]
    Random(scene.schedule.seed).shuffle(calls)
    for number, comm, slot in calls:
        for problems in stage.cast:
            problems[number][comm].calls[slot]()
    ending = stage.emulator.run()
    judged = partial(SceneResult, scene, len(calls), stage.emulator.events)
    if scene.deaf is not None:
        return judged(_careless(stage, scene.deaf))
    if ending is not Ending.DONE:
        return judged(ENDINGS[ending], tuple(stage.emulator.story(stage.ranks)))
    for place, problems in enumerate(stage.cast):
        for problem, prepared in zip(scene.problems, problems, strict=True):
            for comm, each in enumerate(prepared):
                words = each.check_all()[1] or _unlike(each, stage.cast[0][scene.problems.index(problem)][comm])
                if words:
                    rank = stage.ranks[place]
                    told = f"rank {rank}, {problem.bytes} B{' in place' * problem.in_place}: {words}"
                    return judged(told, tuple(stage.emulator.story(stage.ranks, rank)))
    return judged("")


def _careless(stage: EmulatedStage, deaf: int) -> str:
    """Which rank went on though the rank at ``deaf`` had sent nothing, or ""."""
    others = (place for place in range(stage.layout.size) if place != deaf and not stage.emulator.gave_up(place))
    first = next(others, None)
    return (
        "" if first is None else f"rank {stage.ranks[first]} did not give up, and rank {stage.ranks[deaf]} never came"
    )


def _unlike(mine: Prepared, theirs: Prepared) -> str | None:
    """Where two ranks' answers to one call differ in their bits."""
    for number in range(mine.answers):
        one, other = (each.answer(number).view(f"u{mine.problem.dtype.itemsize}") for each in (mine, theirs))
        if not np.array_equal(one, other):
            first = int(np.argmax(one != other))
            return f"element {first} of call {number} has other bits than on the first rank"
    return None


def alone(scene: EmulatedScene, deaf: int) -> EmulatedScene:
    """The same, but the rank at the place ``deaf`` never makes its calls: all others must give up, and say so."""
    return replace(scene, deaf=deaf, problems=scene.problems[:1], comms=1)
