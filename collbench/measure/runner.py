"""Runs a plan on the ranks of this launch: opens backends, then prepares, proves, times and records each case."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np

from collbench import registry
from collbench.backends import Backend, DescribedCall, Networked, Session
from collbench.devices.device import Call, Device
from collbench.errors import CannotRunError
from collbench.host.transports import merged
from collbench.measure.operation import Operation
from collbench.measure.rows import Row, RowMaker
from collbench.measure.steps import Begin, Emit, Steps
from collbench.measure.timing import Track, add_block, disturbance, take, warm_up
from collbench.plan.layout import Layout
from collbench.plan.problem import Case, case_identity
from collbench.plan.skew import Skew
from collbench.plan.sweep import Plan, Skip, Sweep
from collbench.proof.buffers import Rounds, arena_bytes, rounds_for, trial_rounds
from collbench.ranks.failure import on_all
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World, rest_until_all
from collbench.results.records import THROTTLED

Group = tuple[Case, ...]
T = TypeVar("T")
TRIES = 3  # to estimate the latency and the number of calls per sample
PHASE_CALLS, PHASE_SAMPLES = 8, 21
LATE = "the host was late for every sample; are its cores overloaded?"


@dataclass(frozen=True)
class Open:
    """A backend open on the current world, or the error for which it failed to open."""

    backend: Backend
    device: Device
    session: Session | None
    error: str | None = None


@dataclass
class Contestant:
    """The state of one case up to its row. ``units`` is the largest error of its proof, over all ranks."""

    case: Case
    opened: Open
    track: Track | None = None
    row: Row | None = None
    call: Call | None = None
    kernel: dict[str, str] = field(default_factory=dict)
    phases: dict[str, str] = field(default_factory=dict)
    transport: str = ""
    units: float = 0.0
    remarks: list[str] = field(default_factory=list)


class Runner:
    """Runs the cases of one launch. ``transports`` are those of this rank, by backend.

    ``emit`` is called on rank 0 of the launch with every row, ``begin`` before each step with the rows to record if the
    job ends in it: that of a case, or those of all cases of a backend.
    """

    def __init__(
        self, sweep: Sweep, rows: RowMaker, devices: Mapping[str, Device], dog: Watchdog, emit: Emit, begin: Begin
    ) -> None:
        self._sweep, self._rows, self._devices, self._dog = sweep, rows, devices, dog
        self._steps = Steps(rows, dog, begin, emit)
        self.transports: dict[str, list[str]] = {}

    def run(self, plan: Plan, everyone: World) -> None:
        """Run all groups of the plan, world by world; ranks outside a world sleep until it is done."""
        if everyone.rank == 0:
            for skip in plan.skips:
                self._steps.ended(everyone, self._rows.skipped(skip))
        for layout in plan.layouts:
            self._run_world(layout, [group for group in plan.groups if group[0].problem.layout == layout], everyone)

    def _run_world(self, layout: Layout, groups: Sequence[Group], everyone: World) -> None:
        world = everyone.split(layout)
        names = sorted({case.backend for group in groups for case in group})
        opened = {name: self._open(world, everyone, name, groups) for name in names}
        if world.member:
            for group in groups:
                self._run_group(world, [Contestant(case, opened[case.backend]) for case in group])
        with self._dog.paused():
            rest_until_all(world.launch, partial(self._steps.take_reports, world.launch))
        for name, each in opened.items():
            self._dog.beat(f"closing {name} on {layout}")
            if each.session is not None:
                each.session.close()
            world.launch.Barrier()  # whatever ends a rank until here is of this backend
        for device in self._devices.values():
            device.leave(world)
        world.free()

    def _open(self, world: World, everyone: World, name: str, groups: Sequence[Group]) -> Open:
        """Open a backend, on all ranks or on none; collective over the launch."""
        mine = [case for group in groups for case in group if case.backend == name]
        backend = registry.find(mine[0].spec)
        device = self._devices[backend.DEVICE]
        self._steps.of_backend(world, f"opening {name}", mine)
        size = world.launch.allreduce(max(arena_bytes(group[0].problem, device) for group in groups), op=max)
        with nullcontext() if world.member else self._dog.paused():  # the others wait, while members may compile
            made = on_all(everyone, lambda: backend.open(world.group, device, size))
        if isinstance(made, Exception):
            self._check_alive(everyone, device)
            return Open(backend, device, None, str(made))
        return Open(backend, device, made)

    def _check_alive(self, world: World, device: Device) -> None:
        """Raise RuntimeError on all members, which ends the job, where an error has left the device of one unusable."""
        gone = on_all(world, device.settle)
        if isinstance(gone, Exception):
            raise RuntimeError(f"the {device.kind} is unusable in this process: {gone}")

    def _run_group(self, world: World, contestants: list[Contestant]) -> None:
        """Run all backends on one problem: prove each, then time them in interleaved blocks."""
        for one in contestants:
            self._get_ready(world, one)
        running = [(one, one.track) for one in contestants if one.track]
        self._take_turns(world, running)
        for one, track in running if len(running) > 1 else []:
            self._steps.of_case(world, "timing without the other backends", one.case)
            one.remarks.append(disturbance(world, track) or "")
        for one, track in running:
            self._steps.of_case(world, "finishing", one.case)
            one.phases = self._time_phases(world, one)
            one.transport = self._transport(world, one)
            track.operation.close()
            world.comm.Barrier()  # whatever ends a rank until here is of this case
        if world.rank == 0:
            for one in contestants:
                self._steps.ended(world, self._finish(one))

    def _get_ready(self, world: World, one: Contestant) -> None:
        """Prove the case, choose the calls per sample and warm up; or set the row that says why it cannot be timed."""
        if one.opened.error:
            one.row = self._rows.failed(one.case, f"{one.case.backend} does not open: {one.opened.error}")
            return
        seconds = self._try_out(world, one)
        problem, device = one.case.problem, one.opened.device
        rounds: Rounds | None = None
        for _ in range(TRIES):
            if one.row or (better := world.bcast(rounds_for(problem, device, seconds))) == rounds:
                return
            if rounds is not None and better.calls < 2 * rounds.calls:
                return  # long enough
            if one.track:
                one.track.operation.close()
            rounds = better
            seconds = self._warm_up(world, one, rounds)

    def _try_out(self, world: World, one: Contestant) -> float:
        """Prove the case on a few calls; returns the seconds of one call."""
        self._steps.of_case(world, "proving", one.case)
        trial = self._prepare(world, one, trial_rounds(one.case.problem, one.opened.device))
        if trial is None:
            return 0.0
        found, words = trial.prove()
        one.units = float(world.comm.allreduce(found.units, op=max))
        words = world.first_words(words)
        if words:
            one.row = self._rows.wrong(one.case, world.highest_int(found.wrong), words)
        else:
            one.row = self._start_sampling(world, one, trial)
        seconds: list[float] = []
        for _ in range(0 if one.row else TRIES):
            seconds = seconds or take(world, Track(trial), 5).seconds
        trial.close()
        if not seconds and not one.row:
            one.row = self._rows.failed(one.case, LATE)
        return min(seconds, default=0.0)

    def _warm_up(self, world: World, one: Contestant, rounds: Rounds) -> float:
        """Prepare and warm up the operation to be timed; returns seconds per call."""
        self._steps.of_case(world, "warming up", one.case)
        one.track = None
        operation = self._prepare(world, one, rounds)
        if operation is None:
            return 0.0
        one.row = self._start_sampling(world, one, operation)
        if one.row:
            operation.close()
            return 0.0
        one.track = Track(operation, units=one.units)
        return warm_up(world, one.track, self._sweep)

    def _prepare(self, world: World, one: Contestant, rounds: Rounds) -> Operation | None:
        """The operation; None, with the row set, where preparing it failed on any rank."""
        opened, session = one.opened, one.opened.session
        assert session is not None, "a backend that did not open has no cases to prepare"

        def make() -> tuple[Operation, tuple[str, ...]]:
            problem, checked = one.case.problem, self._sweep.verify
            delays = self._delays(world, problem.skew)
            operation = Operation(world, opened.backend, session, opened.device, problem, rounds, checked, delays)
            return operation, opened.device.kernels(operation.calls[0])

        made = self._tried(world, one, make)
        if isinstance(made, Row):
            one.row = made
            session.release()
            return None
        operation, names = made
        one.call, one.kernel = operation.calls[0], {"kernel": "+".join(names)} if names else {}
        return operation

    def _delays(self, world: World, skew: Skew | None) -> Callable[[int], float] | None:
        """The seconds by which this member is to be late in the sample of a number, None without a skew."""
        seed, launch = self._sweep.seed, self._rows.launch
        group = world.group  # groups side by side are delayed alike
        return (lambda sample: skew.delays(seed, launch, sample, group.size)[group.rank]) if skew else None

    def _tried(self, world: World, one: Contestant, action: Callable[[], T]) -> T | Row:
        """The result of ``action`` on this member, or the row of the case where it failed on any member."""
        made = on_all(world, action)
        if isinstance(made, CannotRunError):
            return self._rows.skipped(Skip(one.case, str(made)))
        if isinstance(made, Exception):
            self._check_alive(world, one.opened.device)
            return self._rows.failed(one.case, str(made))
        return made

    def _start_sampling(self, world: World, one: Contestant, operation: Operation) -> Row | None:
        """None, or the row of the case where the sampler could not be created on some member."""
        made = self._tried(world, one, operation.start_sampling)
        return made if isinstance(made, Row) else None

    def _take_turns(self, world: World, running: list[tuple[Contestant, Track]]) -> None:
        """Take blocks of samples, with the backends in a new random order each round, until each has enough."""
        left = list(running)
        names = [case_identity(one.case) for one, _ in running]
        draw = random.Random(f"{self._sweep.seed}/{self._rows.launch}/{names}")
        while left:
            draw.shuffle(left)
            for one, track in list(left):
                self._steps.of_case(world, "timing", one.case)
                if add_block(world, track, self._sweep):
                    left.remove((one, track))

    def _time_phases(self, world: World, one: Contestant) -> dict[str, str]:
        """Per phase, the median over samples of the slowest rank's microseconds; empty for calls without phases."""
        if not (self._sweep.phases and isinstance(one.call, DescribedCall) and one.call.marked):
            return {}
        self._steps.of_case(world, "timing the phases", one.case)
        call = one.call.marked()
        sampler = one.opened.device.sampler(world, [call] * PHASE_CALLS, "chain", False)
        found = []
        for _ in range(PHASE_SAMPLES):
            sampler.sample()
            found.append(list(call.seconds().values()))
        sampler.close()
        slowest = np.median(world.highest(np.array(found)), axis=0) * 1e6
        return {f"{name.replace('-', '_')}_us": f"{us:.3f}" for name, us in zip(call.phases, slowest, strict=True)}

    def _transport(self, world: World, one: Contestant) -> str:
        """The transports of all ranks, "" where unknown; read after the calls, since libraries connect lazily."""
        session = one.opened.session
        mine = session.transport() if isinstance(session, Networked) else ""
        if not mine:
            return ""
        seen = self.transports.setdefault(one.case.backend, [])
        if mine not in seen:
            seen.append(mine)
        return merged(world.comm.allgather(mine))

    def _finish(self, one: Contestant) -> Row:
        if one.row:
            return one.row
        track = one.track
        if track is None or not track.seconds:
            return self._rows.failed(one.case, LATE)
        if track.wrong:
            return self._rows.wrong(one.case, track.wrong, f"in timed calls: {track.words}")
        remarks = [*one.remarks, f"{THROTTLED}: {track.throttled}" if track.throttled else ""]
        backend, problem = one.opened.backend, one.case.problem
        way = {"transport": one.transport} if one.transport else {}
        described = one.call if isinstance(one.call, DescribedCall) else None
        params = {**way, **one.kernel, **(described.params if described else {}), **one.phases}
        wire = (described and described.wire_bytes) or backend.wire_bytes(problem)
        return self._rows.timed(one.case, backend, track, params, wire, remarks, self._sweep.verify)
