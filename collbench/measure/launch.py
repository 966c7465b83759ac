"""Runs one launch of a sweep: plan on rank 0, run on all ranks, write the rows."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cache, partial

from collbench import registry
from collbench.devices.device import Device
from collbench.devices.opening import open_device
from collbench.errors import CANNOT_WRITE, Exit, OutputError, UsageError
from collbench.host import fabric
from collbench.host.load import crowding
from collbench.host.multicast import unused_by
from collbench.host.settings import conflicts
from collbench.host.streams import stdout_to_stderr
from collbench.measure import conditions, sidecar
from collbench.measure.continuing import RefusedError, check_options, read_launches, refuse, worlds_of
from collbench.measure.memory import too_large
from collbench.measure.next_launch import next_launch, next_leg
from collbench.measure.progress import Progress
from collbench.measure.request import SweepRequest
from collbench.measure.rows import Row, RowMaker
from collbench.measure.runner import Runner
from collbench.measure.sidecar import Facts, Sidecar
from collbench.plan.layout import Layout
from collbench.plan.problem import Case
from collbench.plan.sweep import Plan, leave_out
from collbench.plan.variants import Variant
from collbench.plan.worlds import layouts_for
from collbench.ranks.failure import end_all
from collbench.ranks.start import Child
from collbench.ranks.variables import too_late
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World, open_launch
from collbench.results import lock
from collbench.results.files import ResultFile, ended_job
from collbench.results.records import Record

MOST_ENDINGS = 2  # cases of one backend that may end the job before its other cases are left out


@dataclass(frozen=True)
class OpenedFile:
    """On rank 0: the open results file, its rows, the entries of its sidecar, and the worlds and the leg of this
    launch."""

    file: ResultFile
    records: tuple[Record, ...]
    entries: tuple[Facts, ...]
    layouts: tuple[Layout, ...]
    leg: str


def _open_file(request: SweepRequest, everyone: World, child: Child | None) -> OpenedFile | None:
    """On rank 0: lock and open the file; None where nothing is left to do."""
    layouts, misfits = layouts_for(request.topology, everyone.hosts)
    for misfit in misfits:
        print(f"collbench: skipped: {misfit}", file=sys.stderr)
    held = lock.take(request.path, (lock.RANKS,) if child else (lock.COMMAND, lock.RANKS))
    everyone.teardown.callback(held.release, remove_file=child is None)
    records: list[Record] = []
    entries = read_launches(request.path) if request.resume else []
    if request.resume and request.path.exists():
        check_options(request, entries, layouts)
        file, records = ResultFile.resume(request.path)
    else:
        file = ResultFile.create(request.path, request.force)
    leg = child.leg if child else next_leg(request.sweep, layouts, records, request.goal)
    begun = {record.launch for record in records}
    if leg is None or next_launch(request.sweep, layouts, records, begun, request.goal, leg) is None:
        file.end()
        return None
    return OpenedFile(file, tuple(records), tuple(entries), layouts, leg)


def run(request: SweepRequest, progress: Progress, child: Child | None) -> None:
    """Run the next launch of a sweep on the ranks of this launch; collective. Raises UsageError on every rank.

    Any other exception ends all ranks at once: unwinding would wait for the others in collective clean-up.
    """
    with ExitStack() as teardown, stdout_to_stderr():
        everyone = open_launch(teardown)
        opened = everyone.led(partial(_open_file, request, everyone, child))
        if opened is None:
            return
        continued = f"finished rows are in {request.path}; continue with --resume -o {request.path}."
        dog = Watchdog(everyone, request.sweep.timeout, "" if child else continued)
        teardown.callback(dog.close)  # registered first, so that it also watches the clean-up
        everyone = replace(everyone, patience=dog.patience)
        if child is None:
            _warn_of_crowding(everyone)
        try:
            if child is None:
                _set_variables(everyone, request.sweep.variant(opened.leg))
            planned = _plan_launch(request, everyone, dog, opened)
            _run_launch(request, everyone, dog, opened, planned, progress)
        except RefusedError:
            raise
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, OutputError, UsageError)) and everyone.rank == 0:
                with suppress(OutputError, UsageError):
                    opened.file.clear()  # the case is not at fault
            end_all(everyone, dog, error, CANNOT_WRITE if child else Exit.FAILED)


@dataclass(frozen=True)
class PlannedLaunch:
    """A launch before its measurements: its devices, its number, its plan, and on rank 0 its entry in the sidecar."""

    devices: Mapping[str, Device]
    number: int
    plan: Plan
    entry: Facts | None


def _plan_launch(request: SweepRequest, everyone: World, dog: Watchdog, opened: OpenedFile) -> PlannedLaunch:
    """Open the devices and plan the launch; collective. Raises RefusedError on every rank where its conditions are not
    those of the rows that the file has."""
    dog.beat("opening devices")
    devices = _open_devices(everyone, request.sweep.specs(opened.leg))
    entry = sidecar.gather_entry(everyone, request, devices)
    number, plan = everyone.led(partial(_choose, request, opened, entry))
    plan = _without_shared_gpus(plan, everyone, devices)
    plan = leave_out(plan, too_large(everyone, devices))
    return PlannedLaunch(devices, number, leave_out(plan, _given_up(opened.records, number)), entry)


def _run_launch(
    request: SweepRequest, everyone: World, dog: Watchdog, opened: OpenedFile, planned: PlannedLaunch,
    progress: Progress,
) -> None:  # fmt: skip
    devices, plan = planned.devices, planned.plan
    rows = _row_maker(planned, everyone, opened.records)
    notes = Sidecar(request.path, list(opened.entries))
    if planned.entry is not None:
        opened.file.start()
        variant = request.sweep.variant(opened.leg)
        timed = {"variant": variant.facts} if variant else {}
        place = {"launch": planned.number, "worlds": worlds_of(opened.layouts)}
        notes.begin(rows.run_id, {**place, **timed, **planned.entry})
    total = sum(map(len, plan.groups)) + len(plan.skips)

    def emit(row: Row) -> None:
        opened.file.append(row.record, row.samples_us)
        progress.step(row.record, total)

    runner = Runner(
        request.sweep, rows, devices, dog, emit, lambda cases: opened.file.begin(row.record for row in cases)
    )
    runner.run(plan, everyone)
    late = sidecar.gather_late(everyone, runner.transports)
    if late is not None:
        notes.end(late)
        opened.file.end()


def _warn_of_crowding(everyone: World) -> None:
    """Print a warning on rank 0 if the ranks of its host outnumber the cores that they may use; collective."""
    cores = everyone.launch.allgather(os.sched_getaffinity(0))
    here = [mine for mine, host in zip(cores, everyone.hosts, strict=True) if host == everyone.hosts[0]]
    words = crowding(len(here), set().union(*here), wait=None)  # they are busy already
    if words and everyone.rank == 0:
        print(f"collbench: {words}.", file=sys.stderr)


def _choose(request: SweepRequest, opened: OpenedFile, entry: Facts | None) -> tuple[int, Plan]:
    """On rank 0: the number and the plan of this launch. Raises RefusedError where its conditions are not those of the
    last launch, unless rows of several conditions are wanted."""
    assert entry is not None, "only rank 0 chooses"
    last = opened.entries[-1] if opened.entries else None
    if opened.records and not request.mixed:
        refuse(request, conditions.differences(last, entry) if last else ["it has no sidecar that says which"])
    unlike = {
        each["launch"]
        for each in opened.entries
        if not conditions.same_hosts(each, entry) or conditions.differences(each, entry)
    }
    like_now = {each["launch"] for each in opened.entries} - unlike
    found = next_launch(request.sweep, opened.layouts, opened.records, like_now, request.goal, opened.leg)
    # Nothing is left where only a launch under other conditions lacks rows, and the goal is reached without them.
    return found or (last["launch"] if last else 0, Plan(()))


def _given_up(records: tuple[Record, ...], launch: int) -> Callable[[Case], str | None]:
    """Why a case is left out: its backend has ended the job in MOST_ENDINGS cases of this launch, and of this pair of
    hosts, if it is one: a host that fails must not hide the others."""
    ended = [record for record in records if record.launch == launch and ended_job(record)]
    counts = Counter((record.backend, record.pair) for record in ended)
    last = {(record.backend, record.pair): record.reason for record in ended}

    def why(case: Case) -> str | None:
        key = case.backend, case.problem.layout.pair
        times = counts[key]
        return f"{case.backend} ended the job {times} times before: {last[key]}" if times >= MOST_ENDINGS else None

    return why


def _set_variables(everyone: World, variant: Variant | None) -> None:
    """Set the variables of a variant on the ranks of a launcher; collective. Raises RefusedError on every rank where a
    library may have read one before."""
    if variant is None:
        return
    if words := everyone.first_words(too_late(variant)):
        raise RefusedError(f"{words}.")
    os.environ.update(variant.variables)


def _open_devices(everyone: World, specs: Iterable[str]) -> dict[str, Device]:
    """A device of each kind for which a backend can run; the launch closes them."""
    backends = map(registry.find, specs)
    mine = {backend.DEVICE for backend in backends if backend.missing() is None}
    kinds = sorted(set().union(*everyone.launch.allgather(mine)))
    devices = {kind: open_device(kind, everyone) for kind in kinds}
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
    return leave_out(plan, lambda case: reason if registry.find(case.spec).DEVICE == "gpu" else None)


def _row_maker(planned: PlannedLaunch, everyone: World, finished: tuple[Record, ...]) -> RowMaker:
    name = cache(fabric.fabric_name)

    def fabric_of(kind: str, layout: Layout) -> str:
        hosts = {everyone.hosts[rank] for rank in layout.members}
        return name(kind, len(hosts) == 1, layout.virtual)

    names = {kind: device.name for kind, device in planned.devices.items()}
    run_id = finished[0].run_id if finished else everyone.bcast(new_run_id())
    unused = everyone.bcast(unused_by(planned.entry["ranks"] if planned.entry else ()))
    disputed = everyone.bcast(tuple(each.name for each in conflicts(os.environ)))
    return RowMaker(run_id, planned.number, names, fabric_of, everyone.hosts, unused, disputed)


def new_run_id() -> str:
    """An identifier of a run: time and host name."""
    return f"{time.strftime('%Y%m%dT%H%M%S')}-{platform.node()}"
