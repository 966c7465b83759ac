"""Run stories on a backend that is open on one world: make the calls of every scene and check every answer."""

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
from collbench.proof.buffers import Buffers, Rounds, lay_out, shifted, stride_of
from collbench.proof.prepared import Prepared
from collbench.ranks.failure import on_all
from collbench.ranks.world import World
from collbench.verify.chain import Chain
from collbench.verify.outcomes import Outcome, outcome
from collbench.verify.stories import SLOTS, Story, off_by_one
from collbench.verify.subjects import Scene, Subject, VerifyRequest, scenes

T = TypeVar("T")
Calls = Prepared | Chain  # of one problem on one session, with the proof of their answers
RANDOM_SECONDS, LATE_SECONDS = 1e-3, 2e-3  # much longer than a call, much shorter than the timeout of a waiting rank
FEWEST_TURNS = 3


@dataclass
class Tally:
    """The findings of one story: ``words`` describes this rank's first mistake; all else agrees across ranks."""

    calls: int = 0
    wrong: int = 0
    words: str | None = None
    skipped: str | None = None
    failed: str | None = None

    def note(self, error: Exception) -> None:
        """Record why a case could not be prepared."""
        if isinstance(error, CannotRunError):
            self.skipped = self.skipped or str(error)
        else:
            self.failed = self.failed or str(error)


@dataclass(frozen=True)
class Stage:
    """One backend on one world, with a session for each communicator; ``error`` is why there are not more sessions."""

    world: World
    backend: Backend
    device: Device
    sessions: tuple[Session, ...]
    error: Exception | None
    request: VerifyRequest

    def tried(self, action: Callable[[], T]) -> T | Exception:
        """The result of ``action``, or on all members the error of the first rank that failed. Collective."""
        return on_all(self.world, action)


def stretch_bytes(problem: Problem) -> int:
    """Bytes of memory for the calls of one problem in any story."""
    return SLOTS * stride_of(problem)


def arena_bytes(story: Story, subject: Subject) -> int:
    """Bytes of memory for the largest scene of a story."""
    needs = (sum(map(stretch_bytes, scene.problems)) for scene in scenes(story, subject))
    return max(needs, default=0) * (2 if story.twice else 1)


def layers_of(story: Story, problem: Problem, backend: Backend) -> tuple[str, ...]:
    """The layers of proof of a story, () for the default ones.

    Libraries differ in min and max of NaN, so these are checked only for a backend with a documented order. Which of
    two NaNs results is the same on every rank only where the processor has a single NaN, as GPUs do.
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
    """A copy in which all calls write to the output of the first: only the last answer remains."""
    slots, single = buffers.recv.slots, replace(buffers.recv, slots=1)
    before, behind = (replace(guard, slots=1) for guard in buffers.guards)
    return replace(
        buffers, recv=replace(buffers.recv, stride=0), outputs=single, answers=single, first_answer=slots - 1,
        guards=(before, behind),
    )  # fmt: skip


def prepare(stage: Stage, story: Story, scene: Scene, problem: Problem, number: int, offset: int) -> Calls:
    """The calls of ``problem`` on session ``number``, ``offset`` bytes into its memory. Raises CannotRunError."""
    if reason := stage.backend.refuses(problem):  # for example in place: the plan covers only calls out of place
        raise CannotRunError(reason)
    session, rank = stage.sessions[number], stage.world.rank
    buffers = lay_out(problem, rank, Rounds(SLOTS, SLOTS, overlap=False))
    if story.shared:
        buffers = in_one_output(buffers)
    buffers = shifted(buffers, *(elements * problem.dtype.itemsize for elements in scene.shift))
    arena = session.arena[offset : offset + stretch_bytes(problem)]
    if story.chained:
        return Chain(stage.device, session, problem, rank, arena, buffers, first=number)
    layers = layers_of(story, problem, stage.backend)
    return Prepared(stage.device, stage.backend, session, problem, rank, arena, buffers, layers, first=number)


def prepare_scene(stage: Stage, story: Story, scene: Scene, tally: Tally) -> list[Calls]:
    """The calls of a scene, largest first, without those that the backend cannot run; [] if one of two communicators
    has none. Reasons are recorded in ``tally``. Collective."""
    prepared: list[Calls] = []
    offset, needed = 0, 2 if story.twice else 1
    for problem in sorted(scene.problems, key=lambda problem: -problem.bytes):
        for number in range(needed):
            made = stage.tried(partial(prepare, stage, story, scene, problem, number, offset))
            if not isinstance(made, Exception):
                prepared.append(made)
            else:
                tally.note(made)
            offset += stretch_bytes(problem)
    return prepared if len(prepared) >= needed else []


class SceneRun:
    """The run of one scene: makes its calls in turns, each with fresh data, and checks all answers."""

    def __init__(self, stage: Stage, story: Story, scene: Scene, prepared: list[Calls], tally: Tally) -> None:
        self._stage, self._story, self._scene, self._prepared, self._tally = stage, story, scene, prepared, tally
        sizes = [(each.problem.bytes, each.problem.in_place) for each in prepared]
        names = f"{stage.request.seed}/{story.name}/{sizes}"
        self._alike, self._own = Random(names), Random(f"{names}/{stage.world.rank}")
        self._recording: Recording | None = None

    def run(self) -> None:
        """Run all turns: every layer of proof in each round."""
        if self._story.replayed or self._story.chained:
            calls = [call for each in self._prepared for call in each.calls]
            made = self._stage.tried(lambda: self._stage.device.recorded(calls))
            if isinstance(made, Exception):
                self._tally.note(made)
                return
            self._recording = made
        for number in range(self._stage.request.rounds * max(FEWEST_TURNS, self._prepared[0].layers)):
            self._turn(number)
        if self._recording:
            self._recording.close()

    def _turn(self, number: int) -> None:
        for each in self._prepared:
            each.load()
        self._stage.device.settle()
        self._stage.world.comm.Barrier()
        if self._recording and (self._story.replayed or number % 2):
            self._recording.launch()
        else:
            self._make_calls(number)
        self._stage.device.settle()
        for each in self._prepared:
            self._check(each)

    def _make_calls(self, number: int) -> None:
        late = self._alike.randrange(self._stage.world.size)
        for each, slot in self._sequence(number):
            self._hold_back(late)
            each.calls[slot]()
            if self._story.spoilt and isinstance(each, Prepared):
                each.spoil(slot)

    def _sequence(self, number: int) -> list[tuple[Calls, int]]:
        """The order of calls, the same on every rank: large to small; with mixed sizes, shuffled after turn 0."""
        calls = [(each, slot) for slot in range(SLOTS) for each in self._prepared]
        if self._story.mixed and number:
            self._alike.shuffle(calls)
        return calls

    def _hold_back(self, late: int) -> None:
        if self._story.late == "all":
            self._stage.device.hold_back(self._own.random() * RANDOM_SECONDS)
        elif self._story.late == "one rank" and self._stage.world.rank == late:
            self._stage.device.hold_back(LATE_SECONDS)

    def _check(self, each: Calls) -> None:
        found, words = each.check() if self._story.spoilt and isinstance(each, Prepared) else each.check_all()
        self._record(each, found.wrong, words)
        self._tally.calls += each.answers
        for number in range(each.answers if self._story.same_bits else 0):
            self._record(each, *self._difference(each, number))

    def _difference(self, each: Calls, number: int) -> tuple[int, str | None]:
        """The number of elements that differ bitwise from rank 0's, and a description of the first."""
        mine = each.answer(number)
        theirs = self._stage.world.bcast(mine.view(np.uint8)).view(mine.dtype)
        (unlike,) = np.nonzero(mine.view(f"u{mine.itemsize}") != theirs.view(f"u{mine.itemsize}"))
        if not len(unlike):
            return 0, None
        first = int(unlike[0])
        here, there = float(mine[first]), float(theirs[first])
        plural = "s differ" if len(unlike) != 1 else " differs"
        return len(unlike), f"{len(unlike)} element{plural} bitwise from rank 0, first {first} ({here} and {there})"

    def _record(self, each: Calls, wrong: int, words: str | None) -> None:
        self._tally.wrong += wrong
        if words and not self._tally.words:
            place = " in place" * each.problem.in_place + off_by_one(self._scene.shift)
            self._tally.words = f"{format_size(each.problem.bytes)}{place}: {words}"


def run_story(stage: Stage, story: Story, subject: Subject, beat: Callable[[str], None]) -> Outcome:
    """Run all scenes of a story, even after a wrong answer, and return its outcome; collective over the members."""
    reason = story.skips(subject.collective, subject.dtype, subject.op)
    if reason:
        return outcome(subject, story.name, "skipped", reason)
    if len(stage.sessions) < (2 if story.twice else 1):
        return not_open(subject, story.name, stage.error)
    tally = Tally()
    for scene in scenes(story, subject):
        sizes = ", ".join(format_size(problem.bytes) for problem in scene.problems)
        beat(f"proving {subject}, {story.name}: {sizes}")
        prepared = prepare_scene(stage, story, scene, tally)
        if prepared:
            SceneRun(stage, story, scene, prepared, tally).run()
        for session in stage.sessions:
            session.release()
    wrong, words = stage.world.highest_int(tally.wrong), stage.world.first_words(tally.words)
    return _outcome(subject, story, replace(tally, wrong=wrong, words=words))


def _outcome(subject: Subject, story: Story, tally: Tally) -> Outcome:
    ends = partial(outcome, subject, story.name, calls=tally.calls, wrong=tally.wrong)
    if tally.words:
        return ends("wrong", tally.words)
    if tally.failed:
        return ends("failed", tally.failed)
    skipped = tally.skipped or subject.refusal
    if not tally.calls:
        return ends("skipped", skipped)
    return ends("ok", f"partly skipped: {skipped}" if skipped else "")


def not_open(subject: Subject, story: str, error: Exception | None) -> Outcome:
    """The outcome of a story whose backend does not open."""
    status = "skipped" if isinstance(error, CannotRunError) else "failed"
    return outcome(subject, story, status, f"does not open: {error}")
