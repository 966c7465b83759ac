"""Runs one launch of a sweep: plan on rank 0, run on all ranks, write the rows."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial

from mpi4py import MPI

from collbench import registry
from collbench.devices.device import Device
from collbench.devices.opening import open_device
from collbench.host import fabric
from collbench.measure import sidecar
from collbench.measure.progress import Progress
from collbench.measure.request import SweepRequest
from collbench.measure.rows import Row, RowMaker
from collbench.measure.runner import Runner
from collbench.measure.sidecar import Sidecar
from collbench.plan.layout import Layout
from collbench.plan.problem import Case, case_identity
from collbench.plan.sweep import Plan, Sweep, leave_out, make_plan
from collbench.plan.worlds import layouts_for
from collbench.ranks.failure import end_all
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World, open_launch
from collbench.results.files import ResultFile, doing_path
from collbench.results.records import Record
from collbench.results.writing import replace_text


@dataclass(frozen=True)
class PlannedLaunch:
    """On rank 0: the open results file, the number and plan of the launch, and the finished rows."""

    file: ResultFile
    launch: int
    plan: Plan
    finished: tuple[Record, ...]


def _is_in(finished: set[tuple[object, ...]]) -> Callable[[Case], bool]:
    return lambda case: case_identity(case) in finished


def next_launch(sweep: Sweep, layouts: tuple[Layout, ...], finished: Iterable[Record]) -> tuple[int, Plan] | None:
    """The first incomplete launch and its plan; None where all are complete."""
    done: dict[int, set[tuple[object, ...]]] = {}
    for record in finished:
        done.setdefault(record.launch, set()).add(record.identity)
    for launch in range(sweep.launches):
        plan = make_plan(sweep, layouts, launch, registry.refusals(), _is_in(done.get(launch, set())))
        if plan.groups or plan.skips:
            return launch, plan
    return None


def _prepare(request: SweepRequest, everyone: World) -> PlannedLaunch | None:
    """On rank 0: the open file and the plan of the launch; None where nothing is left to do."""
    if request.resume:
        sidecar.earlier_launches(request.path, request.sweep)  # rejects changed settings before anything is written
    layouts, misfits = layouts_for(request.topology, everyone.hosts)
    for misfit in misfits:
        print(f"collbench: skipped: {misfit}", file=sys.stderr)
    finished: list[Record] = []
    if request.resume and request.path.exists():
        file, finished = ResultFile.resume(request.path)
    else:
        file = ResultFile.create(request.path, request.force)
    todo = next_launch(request.sweep, layouts, finished)
    if todo is None:
        file.end()
        return None
    file.start()
    return PlannedLaunch(file, *todo, tuple(finished))


def run(request: SweepRequest, progress: Progress) -> None:
    """Run the next launch of a sweep on the ranks of this launch; collective. Raises UsageError on every rank.

    Any other exception ends all ranks at once: unwinding would wait for the others in collective clean-up.
    """
    with ExitStack() as teardown:
        everyone = open_launch(teardown)
        prepared = everyone.led(partial(_prepare, request, everyone))
        if prepared is None:
            return
        dog = Watchdog(everyone.name_of_rank(), request.sweep.timeout, MPI.COMM_WORLD.Abort)
        teardown.callback(dog.close)  # registered first, so that it also watches the clean-up
        try:
            _run_launch(request, everyone, dog, prepared, progress)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):  # the case is not at fault and may be retried
                replace_text(doing_path(request.path), "")
            end_all(everyone, dog, error)


def _run_launch(
    request: SweepRequest, everyone: World, dog: Watchdog, prepared: PlannedLaunch, progress: Progress
) -> None:
    file, launch = prepared.file, prepared.launch
    devices = _open_devices(everyone, dog, prepared.plan)
    plan = _without_shared_gpus(prepared.plan, everyone, devices)
    rows = _row_maker(launch, devices, everyone, prepared.finished)
    notes = Sidecar(request.path, request.sweep, request.argv, request.resume)
    notes.begin(everyone, rows.run_id, launch, devices)
    total = sum(map(len, plan.groups)) + len(plan.skips)

    def emit(row: Row) -> None:
        file.append(row.record, row.samples_us)
        progress.step(row.record, total)

    runner = Runner(request.sweep, rows, devices, dog, emit, lambda row: file.begin(row.record))
    runner.run(plan, everyone)
    notes.end(everyone, runner.transports)
    if everyone.rank == 0:
        file.end()


def _open_devices(everyone: World, dog: Watchdog, plan: Plan) -> dict[str, Device]:
    """A device of each kind that the plan needs; the launch closes them."""
    dog.beat("opening devices")
    kinds = {registry.find(case.backend).DEVICE for group in plan.groups for case in group}
    devices = {kind: open_device(kind, everyone) for kind in sorted(kinds)}
    for device in devices.values():
        everyone.teardown.callback(device.close)
    return devices


def _without_shared_gpus(plan: Plan, everyone: World, devices: Mapping[str, Device]) -> Plan:
    """The plan, with GPU backends skipped where several ranks share a GPU."""
    if "gpu" not in devices:
        return plan
    mine = (everyone.hosts[everyone.launch.Get_rank()], devices["gpu"].facts()["pci"])
    places = everyone.launch.allgather(mine)
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is None:
        return plan
    reason = f"{places.count(twice)} ranks share GPU {twice[1]} of {twice[0]}; start one rank per GPU"
    return leave_out(plan, lambda case: reason if registry.find(case.backend).DEVICE == "gpu" else None)


def _row_maker(launch: int, devices: Mapping[str, Device], everyone: World, finished: tuple[Record, ...]) -> RowMaker:
    name = cache(fabric.fabric_name)

    def fabric_of(kind: str, layout: Layout) -> str:
        hosts = {everyone.hosts[rank] for rank in layout.members}
        return name(kind, len(hosts) == 1, layout.virtual)

    names = {kind: device.name for kind, device in devices.items()}
    run_id = finished[0].run_id if finished else everyone.bcast(new_run_id())
    return RowMaker(run_id, launch, names, fabric_of)


def new_run_id() -> str:
    """An identifier of a run: time and host name."""
    return f"{time.strftime('%Y%m%dT%H%M%S')}-{platform.node()}"
