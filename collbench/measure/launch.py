"""One launch of a sweep on the ranks that are here: plan on rank 0, run everywhere, rows into the file."""

from __future__ import annotations

import functools
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpi4py import MPI

from collbench import registry
from collbench.devices.device import Device
from collbench.devices.opening import open_device
from collbench.host import environment, fabric, probes
from collbench.measure import sidecar
from collbench.measure.progress import Step
from collbench.measure.rows import Row, RowMaker
from collbench.measure.runner import Runner
from collbench.plan.layout import Layout
from collbench.plan.problem import Case, case_identity
from collbench.plan.sweep import Plan, Sweep, leave_out, make_plan
from collbench.plan.worlds import Topology, layouts_for
from collbench.ranks import world
from collbench.ranks.failure import end_all
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World
from collbench.registry import refusal
from collbench.results.files import ResultFile, doing_path
from collbench.results.records import Record

Prepared = tuple[ResultFile, int, Plan, list[Record]]


@dataclass(frozen=True)
class Order:
    """What one call of ``sweep`` is to do: the sweep, on which worlds, into which file.

    ``resume`` goes on with a file that exists, ``force`` replaces it; ``argv`` is for the record.
    """

    sweep: Sweep
    topology: Topology
    path: Path
    resume: bool
    force: bool
    argv: tuple[str, ...]


def _is_in(finished: set[tuple[object, ...]]) -> Callable[[Case], bool]:
    return lambda case: case_identity(case) in finished


def next_launch(sweep: Sweep, layouts: tuple[Layout, ...], finished: Iterable[Record]) -> tuple[int, Plan] | None:
    """The first launch that still has something to do, with its plan; None where all are complete."""
    done: dict[int, set[tuple[object, ...]]] = {}
    for record in finished:
        done.setdefault(record.launch, set()).add(record.identity)
    for launch in range(sweep.launches):
        plan = make_plan(sweep, layouts, launch, refusal, _is_in(done.get(launch, set())))
        if plan.groups or plan.skips:
            return launch, plan
    return None


def _prepare(order: Order, everyone: World) -> Prepared | None:
    """On rank 0: open the file and plan the launch; None where nothing is left to do."""
    if order.resume:
        sidecar.earlier_launches(order.path, order.sweep)  # refuses other settings before anything is written
    layouts, misfits = layouts_for(order.topology, everyone.hosts)
    for misfit in misfits:
        print(f"collbench: left out: {misfit}", file=sys.stderr)
    finished: list[Record] = []
    if order.resume and order.path.exists():
        file, finished = ResultFile.resume(order.path)
    else:
        file = ResultFile.create(order.path, order.force)
    todo = next_launch(order.sweep, layouts, finished)
    if todo is None:
        file.end()
        return None
    file.start()
    return (file, *todo, finished)


def _shared_gpus(everyone: World, devices: dict[str, Device]) -> str | None:
    if "gpu" not in devices:
        return None
    mine = (everyone.hosts[everyone.launch.Get_rank()], devices["gpu"].facts()["pci"])
    all_of_them = everyone.launch.allgather(mine)
    twice = next((place for place in all_of_them if all_of_them.count(place) > 1), None)
    if twice is None:
        return None
    return f"{all_of_them.count(twice)} ranks share GPU {twice[1]} of {twice[0]}; start one rank a GPU"


def run(order: Order, tell: Step | None) -> None:
    """Run the next launch of ``order`` on the ranks of this launch; collective. Raises UsageError on every rank.

    ``tell(record, total)`` is called on rank 0 for every row. Any other exception ends all ranks at once: to unwind
    would be to wait for the others in collective clean-up.
    """
    with ExitStack() as teardown:
        everyone = world.open_launch(teardown)
        made = everyone.led(functools.partial(_prepare, order, everyone))
        if made is None:
            return
        dog = _watchdog(order.sweep, everyone)
        teardown.callback(dog.close)  # first in, last out: clean-up is watched too
        try:
            _run_launch(order, everyone, dog, made, tell)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):  # the user's doing, not the case's: it may be tried again
                doing_path(order.path).write_text("", encoding="utf-8")
            end_all(everyone, dog, error)


def _run_launch(order: Order, everyone: World, dog: Watchdog, made: Prepared, tell: Step | None) -> None:
    file, launch, plan, finished = made
    dog.beat("opening devices")
    kinds = {registry.find(case.backend).DEVICE for group in plan.groups for case in group}
    devices = {kind: open_device(kind, everyone) for kind in sorted(kinds)}
    for device in devices.values():
        everyone.teardown.callback(device.close)
    shared = _shared_gpus(everyone, devices)
    plan = leave_out(plan, lambda case: shared if registry.find(case.backend).DEVICE == "gpu" else None)
    rows = _row_maker(order, launch, devices, everyone, finished)
    facts = everyone.launch.gather(sidecar.my_facts(devices)) or []
    mine = probes.plain(probes.node(os.environ)) if everyone.local_rank == 0 else None
    nodes = everyone.launch.gather(mine) or []
    launches: list[dict[str, Any]] = []
    if everyone.rank == 0:
        earlier = sidecar.earlier_launches(order.path, order.sweep) if order.resume else []
        launches = [*earlier, sidecar.entry(order.sweep, order.argv, launch, everyone, facts, nodes)]
        sidecar.write(order.path, rows.run_id, launches)
    total = sum(map(len, plan.groups)) + len(plan.skips)

    def emit(row: Row) -> None:
        file.append(row.record, row.samples_us)
        if tell:
            tell(row.record, total)

    runner = Runner(order.sweep, rows, devices, dog, emit, lambda row: file.begin(row.record))
    runner.run(plan, everyone)
    late = everyone.launch.gather({"libraries": environment.loaded_libraries(), "transports": runner.transports})
    if late and any(each["libraries"] or each["transports"] for each in late):
        for rank, each in zip(launches[-1]["ranks"], late, strict=True):
            rank.update(each)
        sidecar.write(order.path, rows.run_id, launches)
    if everyone.rank == 0:
        file.end()


def _row_maker(
    order: Order, launch: int, devices: dict[str, Device], everyone: World, finished: list[Record]
) -> RowMaker:
    name = functools.cache(fabric.fabric_name)

    def fabric_of(kind: str, layout: Layout) -> str:
        hosts = {everyone.hosts[rank] for rank in layout.members}
        return name(kind, len(hosts) == 1, layout.virtual)

    names = {kind: device.name for kind, device in devices.items()}
    run_id = finished[0].run_id if finished else everyone.bcast(new_run_id())
    return RowMaker(run_id, launch, names, fabric_of)


def new_run_id() -> str:
    """Time and machine."""
    return f"{time.strftime('%Y%m%dT%H%M%S')}-{platform.node()}"


def _watchdog(sweep: Sweep, everyone: World) -> Watchdog:
    me = everyone.launch.Get_rank()
    return Watchdog(f"rank {me} on {everyone.hosts[me]}", sweep.timeout, MPI.COMM_WORLD.Abort)
