"""One launch of ``verify`` on the ranks of an MPI world: plan on rank 0, open the backends, run their stories."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np

from collbench import registry
from collbench.backends import Opening, Session
from collbench.devices.device import Device
from collbench.devices.opening import open_device
from collbench.plan.worlds import layouts_for
from collbench.ranks.failure import end_all, on_all
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World, open_launch, rest_until_all
from collbench.tables import counted
from collbench.verify.outcomes import Outcome, outcome
from collbench.verify.stage import Stage, arena_bytes, not_open, run_story
from collbench.verify.stories import STORIES, Story
from collbench.verify.subjects import Subject, VerifyRequest, subjects

Emit = Callable[[Outcome], None]
ALL_STORIES = "all stories"


@dataclass(frozen=True)
class Prover:
    """Runs the stories of one launch. On rank 0, calls ``emit`` with every outcome, and ``at_end`` before a story ends
    the job."""

    request: VerifyRequest
    everyone: World
    devices: Mapping[str, Device]
    dog: Watchdog
    emit: Emit
    at_end: Callable[[], object]
    stories: tuple[Story, ...]

    def run(self, all_subjects: Sequence[Subject]) -> None:
        """Run every story of every subject; subjects with the same layout, backend and way share its sessions."""
        for subject in all_subjects:
            if not subject.sizes and self.everyone.rank == 0:
                self.emit(outcome(subject, ALL_STORIES, "skipped", subject.refusal))
        able = [subject for subject in all_subjects if subject.sizes and self._applicable(subject)]
        for _, together in groupby(able, lambda one: (one.layout, one.backend, one.way)):
            self._open_and_run(list(together))

    def _applicable(self, subject: Subject) -> list[Story]:
        return [story for story in self.stories if story.ways or not subject.way]

    def _open_and_run(self, able: list[Subject]) -> None:
        first = able[0]
        backend = registry.find(first.backend)
        chosen = self._applicable(first)
        size = max(arena_bytes(story, subject) for story in chosen for subject in able)
        self.dog.beat(f"opening {first.backend} {first.way} on {first.layout}")
        worlds = [self.everyone.split(first.layout) for _ in range(2 if any(story.twice for story in chosen) else 1)]
        opening = registry.ways(backend)[first.way] if first.way else backend.open
        sessions, error = self._open(opening, worlds, self.devices[backend.DEVICE], size)
        stage = Stage(worlds[0], backend, self.devices[backend.DEVICE], sessions, error, self.request)
        if worlds[0].member:
            for subject in able:
                self._run_all(stage, subject)
        with self.dog.paused():
            rest_until_all(self.everyone.launch)
        self.dog.beat(f"closing {first.backend} {first.way} on {first.layout}")
        for session in sessions:
            session.close()
        for each in worlds:
            each.free()

    def _open(
        self, opening: Opening, worlds: Sequence[World], device: Device, size: int
    ) -> tuple[tuple[Session, ...], Exception | None]:
        """A session on each world, up to the first that fails to open, and its error. Collective over the launch."""
        sessions: list[Session] = []
        for each in worlds:
            made = on_all(self.everyone, partial(opening, each, device, size))
            if isinstance(made, Exception):
                return tuple(sessions), made
            sessions.append(made)
        return tuple(sessions), None

    def _run_all(self, stage: Stage, subject: Subject) -> None:
        if not stage.sessions:
            self._emit(stage, not_open(subject, ALL_STORIES, stage.error))
            return
        found = []
        for story in self._applicable(subject):
            ended = partial(self._ended, subject, story) if stage.world.rank == 0 else None
            found.append(run_story(stage, story, subject, partial(self.dog.beat, at_end=ended)))
            self._emit(stage, found[-1])
        if stage.world.rank == 0:
            calls, good = sum(one.calls for one in found), sum(one.status in ("ok", "skipped") for one in found)
            words = f"{good} of {len(found)} stories passed, {counted(calls, 'call')} checked"
            print(f"{subject}: {words}", file=sys.stderr, flush=True)

    def _ended(self, subject: Subject, story: Story, status: str, reason: str) -> None:
        self.emit(outcome(subject, story.name, status, reason))
        self.at_end()

    def _emit(self, stage: Stage, found: Outcome) -> None:
        if stage.world.rank == 0:
            self.dog.beat("between stories")
            self.emit(found)


def _plan(request: VerifyRequest, everyone: World) -> list[Subject]:
    """The subjects of this launch; called on rank 0."""
    layouts, misfits = layouts_for(request.topology, everyone.hosts)
    for misfit in misfits:
        print(f"collbench: skipped: {misfit}", file=sys.stderr)
    return subjects(request, layouts)


def run(request: VerifyRequest, emit: Emit, at_end: Callable[[], object]) -> None:
    """Run all stories on the ranks of this launch; collective. ``emit`` and ``at_end`` are those of ``Prover``. Raises
    UsageError on every rank.

    Any other exception, such as a kernel that times out, ends all ranks at once.
    """
    with ExitStack() as teardown:
        everyone = open_launch(teardown)
        planned = everyone.led(partial(_plan, request, everyone))
        dog = Watchdog(everyone, request.timeout)
        everyone = replace(everyone, patience=dog.patience)
        teardown.callback(dog.close)
        try:
            dog.beat("opening devices")
            kinds = sorted({registry.find(subject.backend).DEVICE for subject in planned if subject.sizes})
            devices = {kind: open_device(kind, everyone) for kind in kinds}
            for device in devices.values():
                teardown.callback(device.close)
            stories = tuple(STORIES[name] for name in request.stories)
            with np.errstate(all="ignore"):  # special values overflow by design
                Prover(request, everyone, devices, dog, emit, at_end, stories).run(planned)
        except BaseException as error:
            end_all(everyone, dog, error)
