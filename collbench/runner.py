"""Runs a plan on the ranks of this launch: open, prepare, prove, measure, record, release."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from collbench import backends
from collbench.backends import Backend, Session
from collbench.device import Device
from collbench.errors import CannotRunError
from collbench.operation import (
    FEWEST_SLOTS,
    Operation,
    arena_bytes,
    calls_per_sample,
    slots_for,
)
from collbench.plan import Case, Plan, Skip, Sweep
from collbench.records import case_identity
from collbench.rows import Row, RowMaker
from collbench.timing import Track, add_block, disturbance, take, warm_up
from collbench.watchdog import Watchdog
from collbench.world import World, rest_until_all

Emit = Callable[[Row], None]


@dataclass
class Contestant:
    """One case on its way to a row."""

    case: Case
    backend: Backend
    session: Session
    device: Device
    calls: int = 1
    track: Track | None = None
    problem: Row | None = None
    kernels: tuple[str, ...] = field(default=())
    remark: str = ""


class Runner:
    """Everything that one launch needs to run cases. ``emit`` is called on rank 0 of the case's world."""

    def __init__(self, sweep: Sweep, rows: RowMaker, devices: Mapping[str, Device], dog: Watchdog, emit: Emit) -> None:
        self._sweep, self._rows, self._devices, self._dog, self._emit = sweep, rows, devices, dog, emit

    def run(self, plan: Plan, everyone: World) -> None:
        """All groups of the plan, world by world; ranks outside a world rest until it is done."""
        self._report_skips(plan.skips, everyone)
        for layout in plan.layouts:
            groups = [group for group in plan.groups if group[0].workload.layout == layout]
            world = everyone.split(layout)
            self._dog.beat(f"opening backends on {layout}")
            sessions = self._open(world, groups)
            if world.member:
                for group in groups:
                    self._run_group(world, group, sessions)
            with self._dog.paused():
                rest_until_all(world.launch)
            for _, session in sessions.values():
                session.close()
            world.free()

    def _report_skips(self, skips: Iterable[Skip], everyone: World) -> None:
        if everyone.rank == 0:
            for skip in skips:
                self._emit(self._rows.skipped(skip))

    def _open(self, world: World, groups: list[tuple[Case, ...]]) -> dict[str, tuple[Backend, Session]]:
        names = sorted({case.backend for group in groups for case in group})
        sessions = {}
        for name in names:
            backend = backends.find(name)
            device = self._devices[backend.DEVICE]
            size = max(arena_bytes(group[0].workload, device) for group in groups)
            sessions[name] = (backend, backend.open(world, device, size))
        return sessions

    def _run_group(self, world: World, group: tuple[Case, ...], sessions: dict[str, tuple[Backend, Session]]) -> None:
        """All backends on one workload: each proven first, then timed in turns."""
        field = [self._contestant(case, *sessions[case.backend]) for case in group]
        for one in field:
            self._get_ready(world, one)
        running = [one for one in field if one.track]
        self._take_turns(world, running)
        if len(running) > 1:
            for one in running:
                self._beat(world, "alone", one.case)
                assert one.track
                one.remark = disturbance(world, one.track) or ""
        for one in field:
            if one.track:
                one.track.operation.close()
            if world.rank == 0:
                self._emit(self._finish(one))

    def _contestant(self, case: Case, backend: Backend, session: Session) -> Contestant:
        return Contestant(case, backend, session, self._devices[backend.DEVICE])

    def _beat(self, world: World, doing: str, case: Case) -> None:
        """Tell the watchdog what comes next, and which row to write should it be the last."""
        work = case.workload
        if world.rank == 0:
            self._dog.on_timeout = lambda state: self._emit(self._rows.timeout(case, state))
        self._dog.beat(
            f"{doing}: {case.backend} {work.collective.name} {work.dtype.name} {work.op} {work.bytes} B {work.mode} "
            f"on {work.layout}"
        )

    def _get_ready(self, world: World, one: Contestant) -> None:
        """Prove the case, choose the calls in a sample, prepare them and warm up; or say why it cannot be timed."""
        work, device = one.case.workload, one.device
        self._beat(world, "proving", one.case)
        trial = self._prepare(world, one, FEWEST_SLOTS)
        if trial is None:
            return
        found, words = trial.prove()
        words = world.first_words(words)
        if words:
            one.problem = self._rows.wrong(one.case, world.highest_int(found.wrong), words)
            trial.close()
            return
        trial.start_sampling(1)
        first = Track(trial)
        seconds, _ = take(world, first, 3)
        one.calls = calls_per_sample(work, device, world.bcast(min(seconds, default=0.0)))
        trial.close()
        self._beat(world, "preparing", one.case)
        operation = self._prepare(world, one, slots_for(work, device, one.calls))
        if operation is None:
            return
        one.problem = self._trouble(world, one, lambda: operation.start_sampling(one.calls))
        if one.problem:
            return
        one.track = Track(operation, units=found.units)
        self._beat(world, "warming up", one.case)
        warm_up(world, one.track, self._sweep, one.calls)

    def _prepare(self, world: World, one: Contestant, slots: int) -> Operation | None:
        """The operation, or None with a row ``failed`` where any rank's library refused."""
        made: list[Operation] = []
        work = one.case.workload

        def make() -> None:
            made.append(Operation(one.device, world, one.backend, one.session, work, slots, self._sweep.verify))
            one.kernels = one.device.kernels(made[0].first_call)

        one.problem = self._trouble(world, one, make)
        if one.problem:
            one.session.release()
            return None
        return made[0]

    def _trouble(self, world: World, one: Contestant, action: Callable[[], object]) -> Row | None:
        """Run ``action`` on all members; the row of the case where a library refused on any of them, else None."""
        found = world.first(_attempt(action))
        if found is None:
            return None
        rank, error = found
        if isinstance(error, CannotRunError):
            return self._rows.skipped(Skip(one.case, str(error)))
        return self._rows.failed(one.case, f"rank {rank}: {error}")

    def _take_turns(self, world: World, running: list[Contestant]) -> None:
        """Blocks of samples, backends in a new random order each round, until each has enough."""
        left = list(running)
        draw = random.Random(f"{self._sweep.seed}/{self._rows.launch}/{[case_identity(one.case) for one in running]}")
        while left:
            draw.shuffle(left)
            for one in list(left):
                assert one.track
                self._beat(world, "timing", one.case)
                if add_block(world, one.track, self._sweep):
                    left.remove(one)

    def _finish(self, one: Contestant) -> Row:
        if one.problem:
            return one.problem
        assert one.track
        if one.track.wrong:
            return self._rows.wrong(one.case, one.track.wrong, f"in timed calls: {one.track.words}")
        if not one.track.seconds:
            return self._rows.failed(one.case, "the host was late for every sample; are its cores overloaded?")
        remarks = [one.remark, one.device.throttled() or ""]
        return self._rows.timed(one.case, one.backend, one.track, one.kernels, remarks, self._sweep.verify)


def _attempt(action: Callable[[], object]) -> Exception | None:
    """Run ``action``; the error that a library reported, or None. Errors of our own making are not caught."""
    try:
        action()
    except (RuntimeError, OSError) as error:
        return error if isinstance(error, CannotRunError) else RuntimeError(f"{type(error).__name__}: {error}")
    return None
