"""Plays a scene in the emulator, and proves the answers as on real ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, cast

import numpy as np

from collbench.backends._kernels import order_of
from collbench.devices.cpu import Cpu
from collbench.devices.device import Array, Values
from collbench.kernels import host_compiler
from collbench.kernels.host_compiler import EMULATED, LoadedKernel
from collbench.kernels.slices import slices
from collbench.plan.problem import Problem
from collbench.proof import patterns
from collbench.proof.buffers import ALIGNMENT, Rounds, lay_out, shifted, stride_of
from collbench.proof.prepared import Prepared
from collbench.verify.chain import Chain
from collbench.verify.emulator import HANGS, Comms, Emulator, Ending, load
from collbench.verify.emulator import WORDS as ENDINGS
from collbench.verify.findings import Wait
from collbench.verify.scenes import SLOTS, EmulatedScene, Part

if TYPE_CHECKING:
    from collbench.backends import Backend, Session
    from collbench.kernels.kernel import Kernel


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


@dataclass(frozen=True)
class Calls:
    """The calls of one part on the rank at ``place``, on communicator ``comm``, and the proof of their answers."""

    place: int
    part: int
    comm: int
    prepared: Prepared | Chain


class EmulatedStage:
    """A scene set up in the emulator: the memory of every rank, its calls, and the proof of their answers."""

    def __init__(self, scene: EmulatedScene) -> None:
        self.scene, self.ranks = scene, scene.layout.places
        self._loaded = [_loaded(part, scene) for part in scene.parts]
        threads = max(blocks * width for blocks, width in (part.shape for part in scene.parts))
        comms = Comms(scene.comms, scene.scratch, scene.first_epoch)
        self.emulator = Emulator(scene.schedule, scene.layout.size, comms, threads, scene.pes)
        self._device = Cpu()
        self.calls = list(self._prepare())

    def _prepare(self) -> Iterator[Calls]:
        """The calls of every part on every communicator, one rank after another."""
        for number, part in enumerate(self.scene.parts):
            actor = _Actor(self, number, {})
            for place in range(self.scene.layout.size):
                for comm in range(self.scene.comms):
                    yield Calls(place, number, comm, self._prepared(part, actor, place, comm))

    def _prepared(self, part: Part, actor: _Actor, place: int, comm: int) -> Prepared | Chain:
        problem, rank = part.problem, self.ranks[place]
        send, recv = (each * problem.dtype.itemsize for each in part.shifts)
        raw = np.zeros(SLOTS * stride_of(problem) + ALIGNMENT, np.uint8)
        arena = raw[-raw.ctypes.data % ALIGNMENT :]
        buffers = shifted(lay_out(problem, rank, Rounds(SLOTS, SLOTS, overlap=False)), send, recv)
        session = cast("Session", _Session(actor, place, comm))
        first = max(0, part.layer) + comm
        if self.scene.chained:
            return Chain(self._device, session, problem, rank, arena, buffers, first)
        layers = (patterns.SPECIAL,) if part.layer < 0 else ()
        backend = cast("Backend", actor)
        return Prepared(self._device, backend, session, problem, rank, arena, buffers, layers, first=first)

    def reached(self, place: int) -> list[bool]:
        """Whether loads and stores reach each place."""
        nodes = [self.scene.layout.nodes[rank] for rank in self.ranks]
        return [self.scene.joined or node == nodes[place] for node in nodes]

    def launch(self, number: int, place: int, comm: int, send: Array, recv: Array) -> None:
        """Enqueue one call of part ``number``, except on the silent rank."""
        part = self.scene.parts[number]
        if place != self.scene.silent:
            (whole,) = slices(part.problem, send, recv, part.problem.count)
            buffers = [each.ctypes.data for each in (send, recv, *whole.rows)]
            self.emulator.launch(
                place, comm, self._loaded[number], buffers, whole.count, self.reached(place), part.shape, whole.part,
                self.ranks,
            )  # fmt: skip


def _loaded(part: Part, scene: EmulatedScene) -> LoadedKernel:
    kernel: Kernel = part.kernel
    own = {name: values[0] for name, values in kernel.file.defines.items()} | dict(kernel.parameters)
    options = kernel.defines(part.problem, {**own, "threads": part.shape[1]}, scene.scratch)
    return load(host_compiler.kernel_library(kernel.file, options, EMULATED), kernel.file.symbol)


@dataclass(frozen=True)
class _Actor:
    """The part of ``backends.Backend`` that ``Prepared`` uses, for the kernel of one part."""

    stage: EmulatedStage
    number: int
    expected: dict[int, Values]

    @property
    def EXACT_NORM(self) -> bool:  # noqa: N802 (the protocol's name)
        """Whether the kernel's header names an order, as for a backend."""
        return self.stage.scene.parts[self.number].kernel.file.order is not None

    def exact_order(self, problem: Problem) -> Callable[[Values], Values] | None:
        """The kernel's order of operations; computed once, since every rank expects the same result."""
        order = order_of(self.stage.scene.parts[self.number].kernel.file, problem)
        return partial(self._once, order) if order else None

    def _once(self, order: Callable[[Values], Values], inputs: Values) -> Values:
        if id(inputs) not in self.expected:  # inputs are shared between ranks and stay alive
            self.expected[id(inputs)] = order(inputs)
        return self.expected[id(inputs)]


@dataclass(frozen=True)
class _Session:
    """The part of ``backends.Session`` that ``Prepared`` and ``Chain`` use."""

    actor: _Actor
    place: int
    comm: int

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Callable[[], None]:
        """A function that enqueues one call."""
        return partial(self.actor.stage.launch, self.actor.number, self.place, self.comm, send, recv)


def run_scene(scene: EmulatedScene) -> SceneResult:
    """Run a scene and prove every answer on every rank; with a silent rank, that all others report for whom they wait.
    Raises KernelError if a kernel does not compile."""
    if scene.silent is not None:
        return run_silent(scene)
    with opened(scene) as stage, np.errstate(all="ignore"):  # special values overflow by design
        return _judged(stage, scene)


@contextmanager
def opened(scene: EmulatedScene) -> Iterator[EmulatedStage]:
    """A scene set up until the context ends."""
    stage = EmulatedStage(scene)
    try:
        yield stage
    finally:
        stage.emulator.close()


def _play(stage: EmulatedStage) -> tuple[Ending, Callable[..., SceneResult]]:
    """Make all calls; return how the run ended, and a function that makes a result of what was wrong."""
    for each in stage.calls:
        each.prepared.load()
    turns = _turns(stage.scene)
    for part, comm, slot in turns:
        for each in stage.calls:
            if (each.part, each.comm) == (part, comm):
                each.prepared.calls[slot]()
    ending = stage.emulator.run()
    return ending, partial(SceneResult, stage.scene, len(turns), stage.emulator.events)


def _judged(stage: EmulatedStage, scene: EmulatedScene) -> SceneResult:
    ending, result = _play(stage)
    if ending is not Ending.DONE:
        return result(ENDINGS[ending], tuple(stage.emulator.waits(stage.ranks)), ending in HANGS)
    for each in stage.calls:
        if words := each.prepared.check_all()[1] or _difference(stage, each):
            rank = stage.ranks[each.place]
            waits = tuple(stage.emulator.waits(stage.ranks, rank))
            return result(f"rank {rank}, {scene.parts[each.part]}: {words}", waits)
    return result("")


def _turns(scene: EmulatedScene) -> list[tuple[int, int, int]]:
    """The order of calls, the same on every rank: (part, communicator, slot) of each; the calls of a chain together."""
    draw = Random(scene.schedule.seed)
    turns = [(part, comm) for part in range(len(scene.parts)) for comm in range(scene.comms)]
    turns *= 1 if scene.chained else SLOTS
    draw.shuffle(turns)
    if scene.chained:
        return [(*turn, slot) for turn in turns for slot in range(SLOTS)]
    return [(*turn, turns[:at].count(turn)) for at, turn in enumerate(turns)]


def _difference(stage: EmulatedStage, mine: Calls) -> str | None:
    """The first element in which the answers of two ranks that must be alike differ bitwise, in words, or None."""
    theirs = next(each for each in stage.calls if (each.part, each.comm) == (mine.part, mine.comm))
    problem, ranks = mine.prepared.problem, stage.ranks
    if problem.pieces(ranks[mine.place]) != problem.pieces(ranks[theirs.place]):
        return None
    for number in range(mine.prepared.answers):
        one, other = (each.prepared.answer(number).view(f"u{problem.dtype.itemsize}") for each in (mine, theirs))
        if not np.array_equal(one, other):
            first = int(np.argmax(one != other))
            return f"element {first} of call {number} differs bitwise from rank {ranks[theirs.place]}"
    return None


def run_silent(scene: EmulatedScene) -> SceneResult:
    """Run a scene with a silent rank: all others must time out, and each must report a rank that it really waits for.

    Which rank sends a cell is seen in the same scene without a silent rank.
    """
    with opened(scene) as stage, np.errstate(all="ignore"):
        _, result = _play(stage)
        blamed, words = _reports(stage)
        waits = tuple(stage.emulator.waits(stage.ranks))
    if words:
        return result(words, waits)
    with opened(replace(scene, silent=None)) as stage, np.errstate(all="ignore"):
        _play(stage)
        for wait in blamed:
            sender = stage.emulator.sender(wait.place, wait.comm, wait.offset)
            if sender not in (None, wait.partner):
                rank, partner, right = (stage.ranks[place] for place in (wait.place, wait.partner, sender))
                return result(f"rank {rank} reported that it waited for rank {partner}, not {right}", waits)
    return result("")


def _reports(stage: EmulatedStage) -> tuple[list[Wait], str]:
    """For each rank but the silent one, the wait that it reported when it timed out; or what is wrong about one."""
    ranks, silent = stage.ranks, stage.scene.silent
    assert silent is not None
    found, waiting = [], stage.emulator.waiting()
    for place, rank in enumerate(ranks):
        one = stage.emulator.report(place)
        if place == silent:
            continue
        if one is None:
            return [], f"rank {rank} did not time out although rank {ranks[silent]} made no calls"
        named = (one.place, one.phase, one.step, one.partner, one.epoch)
        alike = [each for each in waiting if named == (each.place, each.phase, each.step, each.partner, each.epoch)]
        if one.place != place or not alike:
            return [], f"rank {rank} reported a wait in which no thread of it was"
        found += alike
    return found, ""
