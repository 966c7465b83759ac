"""Tells stories of a backend that is open on one world: makes the calls of every scene and checks every answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TypeVar

import numpy as np

from collbench.backends import Backend, Session
from collbench.devices.device import Device, Recording
from collbench.errors import CannotRunError
from collbench.plan.problem import Problem
from collbench.plan.sizes import format_size
from collbench.proof import patterns
from collbench.proof.buffers import ALIGNMENT, Buffers, Rounds, lay_out, stride_of
from collbench.proof.prepared import Prepared
from collbench.ranks.failure import on_all
from collbench.ranks.world import World
from collbench.verify.outcomes import Outcome, outcome
from collbench.verify.stories import SLOTS, Story
from collbench.verify.subjects import Scene, Subject, VerifyRequest, scenes

T = TypeVar("T")
RANDOM_SECONDS, LATE_SECONDS = 1e-3, 2e-3  # long beside a call, short beside the patience of whoever waits
FEWEST_TURNS = 3


@dataclass
class Tally:
    """What has been found in one story: ``words`` is this rank's first mistake; all else is the same on all ranks."""

    calls: int = 0
    wrong: int = 0
    words: str | None = None
    left_out: str | None = None
    failed: str | None = None

    def note(self, error: Exception) -> None:
        """A case that a backend could not prepare."""
        if isinstance(error, CannotRunError):
            self.left_out = self.left_out or str(error)
        else:
            self.failed = self.failed or str(error)


@dataclass(frozen=True)
class Stage:
    """One backend on one world, open as often as stories need it; ``error`` is why it is not open more often."""

    world: World
    backend: Backend
    device: Device
    sessions: tuple[Session, ...]
    error: Exception | None
    request: VerifyRequest

    def tried(self, action: Callable[[], T]) -> T | Exception:
        """What ``action`` returns, or the first rank's error, on all members alike."""
        return on_all(self.world, action)


def stretch_bytes(problem: Problem) -> int:
    """Memory for the calls of one problem in any story."""
    return SLOTS * stride_of(problem) + ALIGNMENT  # off by one at most


def arena_bytes(story: Story, subject: Subject) -> int:
    """Memory for the largest scene of a story."""
    needs = (sum(map(stretch_bytes, scene.problems)) for scene in scenes(story, subject))
    return max(needs, default=0) * (2 if story.twice else 1)


def layers_of(story: Story, problem: Problem, backend: Backend) -> tuple[str, ...]:
    """The kinds of data of a story, () for the usual ones.

    Libraries differ in what min and max make of NaN, so only who documents its order is held to it. Which NaN comes
    out of two is the same on every rank only where the processor has but one, as GPUs do.
    """
    if story.same_bits:
        one_nan = problem.dtype.is_float and backend.DEVICE == "gpu" and backend.exact_order(problem)
        return ("bound", patterns.SPECIAL) if one_nan else ("bound",)
    if not story.special:
        return ()
    return (
        patterns.SPECIAL_NUMBERS
        if problem.op in ("min", "max") and not backend.exact_order(problem)
        else patterns.SPECIAL,
    )


def in_one_output(buffers: Buffers) -> Buffers:
    """The same, but every call's output where the first one's is: only the last answer survives."""
    slots, single = buffers.recv.slots, replace(buffers.recv, slots=1)
    before, behind = (replace(guard, slots=1) for guard in buffers.guards)
    return replace(
        buffers, recv=replace(buffers.recv, stride=0), outputs=single, answers=single, first_answer=slots - 1,
        guards=(before, behind),
    )  # fmt: skip


def prepare(stage: Stage, story: Story, scene: Scene, problem: Problem, number: int, offset: int) -> Prepared:
    """Calls of ``problem`` on session ``number``, ``offset`` bytes into its memory."""
    if reason := stage.backend.refuses(problem):  # in place, say: the plan asks for calls out of place only
        raise CannotRunError(reason)
    session, rank = stage.sessions[number], stage.world.rank
    buffers = lay_out(problem, rank, Rounds(SLOTS, SLOTS, overlap=False))
    if story.shared:
        buffers = in_one_output(buffers)
    whole, alone = (elements * problem.dtype.itemsize for elements in scene.shift)
    send, inputs = (replace(region, offset=region.offset + alone) for region in (buffers.send, buffers.inputs))
    buffers = replace(buffers, send=send, inputs=inputs)
    arena = session.arena[offset + whole : offset + stretch_bytes(problem)]
    layers = layers_of(story, problem, stage.backend)
    return Prepared(stage.device, stage.backend, session, problem, rank, arena, buffers, layers, first=number)


def gather_cast(stage: Stage, story: Story, scene: Scene, tally: Tally) -> list[Prepared]:
    """The calls of a scene, largest first; without those that the backend cannot run, and none if it lacks one of
    two that take turns."""
    cast: list[Prepared] = []
    offset, needed = 0, 2 if story.twice else 1
    for problem in sorted(scene.problems, key=lambda problem: -problem.bytes):
        for number in range(needed):
            made = stage.tried(partial(prepare, stage, story, scene, problem, number, offset))
            if isinstance(made, Prepared):
                cast.append(made)
            else:
                tally.note(made)
            offset += stretch_bytes(problem)
    return cast if len(cast) >= needed else []


class Play:
    """One scene: its calls are made turn by turn, each turn with fresh data, and all answers are checked."""

    def __init__(self, stage: Stage, story: Story, scene: Scene, cast: list[Prepared], tally: Tally) -> None:
        self._stage, self._story, self._scene, self._cast, self._tally = stage, story, scene, cast, tally
        names = f"{stage.request.seed}/{story.name}/{[(each.problem.bytes, each.problem.in_place) for each in cast]}"
        self._alike, self._own = Random(names), Random(f"{names}/{stage.world.rank}")
        self._recording: Recording | None = None

    def run(self) -> None:
        """All turns, with every kind of data in each round."""
        if self._story.replayed:
            calls = [call for each in self._cast for call in each.calls]
            made = self._stage.tried(lambda: self._stage.device.recorded(calls))
            if isinstance(made, Exception):
                self._tally.note(made)
                return
            self._recording = made
        for number in range(self._stage.request.rounds * max(FEWEST_TURNS, self._cast[0].layers)):
            self._turn(number)
        if self._recording:
            self._recording.close()

    def _turn(self, number: int) -> None:
        for each in self._cast:
            each.load()
        self._stage.device.settle()
        self._stage.world.comm.Barrier()
        if self._recording:
            self._recording.launch()
        else:
            self._make_calls(number)
        self._stage.device.settle()
        for each in self._cast:
            self._check(each)

    def _make_calls(self, number: int) -> None:
        late = self._alike.randrange(self._stage.world.size)
        for each, slot in self._sequence(number):
            self._hold_back(late)
            each.calls[slot]()
            if self._story.spoilt:
                each.spoil(slot)

    def _sequence(self, number: int) -> list[tuple[Prepared, int]]:
        """The order of calls, the same on every rank: in turns, from large to small; of many sizes any, later on."""
        calls = [(each, slot) for slot in range(SLOTS) for each in self._cast]
        if self._story.mixed and number:
            self._alike.shuffle(calls)
        return calls

    def _hold_back(self, late: int) -> None:
        if self._story.late == "everybody":
            self._stage.device.hold_back(self._own.random() * RANDOM_SECONDS)
        elif self._story.late == "one rank" and self._stage.world.rank == late:
            self._stage.device.hold_back(LATE_SECONDS)

    def _check(self, each: Prepared) -> None:
        found, words = each.check() if self._story.spoilt else each.check_all()
        self._tell(each, found.wrong, words)
        self._tally.calls += each.answers
        for number in range(each.answers if self._story.same_bits else 0):
            self._tell(each, *self._unlike(each, number))

    def _unlike(self, each: Prepared, number: int) -> tuple[int, str | None]:
        """How many elements have other bits than rank 0's, and the first of them."""
        mine = each.answer(number)
        theirs = self._stage.world.bcast(mine.view(np.uint8)).view(mine.dtype)
        (unlike,) = np.nonzero(mine.view(f"u{mine.itemsize}") != theirs.view(f"u{mine.itemsize}"))
        if not len(unlike):
            return 0, None
        first = int(unlike[0])
        here, there = float(mine[first]), float(theirs[first])
        return len(unlike), f"{len(unlike)} elements have other bits than on rank 0, first {first} ({here} and {there})"

    def _tell(self, each: Prepared, wrong: int, words: str | None) -> None:
        self._tally.wrong += wrong
        if words and not self._tally.words:
            whole, alone = self._scene.shift
            place = " in place" * each.problem.in_place + ", all off by one" * whole + ", the input off by one" * alone
            self._tally.words = f"{format_size(each.problem.bytes)}{place}: {words}"


def tell(stage: Stage, story: Story, subject: Subject, beat: Callable[[str], None]) -> Outcome:
    """One story from its first scene to its last, also where an answer is wrong; collective over the members."""
    reason = story.skips(subject.collective, subject.dtype)
    if reason:
        return outcome(subject, story.name, "skipped", reason)
    if len(stage.sessions) < (2 if story.twice else 1):
        return not_open(subject, story.name, stage.error)
    tally = Tally()
    for scene in scenes(story, subject):
        sizes = ", ".join(format_size(problem.bytes) for problem in scene.problems)
        beat(f"proving {subject}, {story.name}: {sizes}")
        cast = gather_cast(stage, story, scene, tally)
        if cast:
            Play(stage, story, scene, cast, tally).run()
        for session in stage.sessions:
            session.release()
    wrong, words = stage.world.highest_int(tally.wrong), stage.world.first_words(tally.words)
    return _judged(subject, story, replace(tally, wrong=wrong, words=words))


def _judged(subject: Subject, story: Story, tally: Tally) -> Outcome:
    ends = partial(outcome, subject, story.name, calls=tally.calls, wrong=tally.wrong)
    if tally.words:
        return ends("wrong", tally.words)
    if tally.failed:
        return ends("failed", tally.failed)
    left_out = tally.left_out or subject.refusal
    if not tally.calls:
        return ends("skipped", left_out)
    return ends("ok", f"left out: {left_out}" if left_out else "")


def not_open(subject: Subject, story: str, error: Exception | None) -> Outcome:
    """The outcome of a story whose backend does not open."""
    status = "skipped" if isinstance(error, CannotRunError) else "failed"
    return outcome(subject, story, status, f"it does not open: {error}")
