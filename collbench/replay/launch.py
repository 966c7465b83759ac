"""Runs one launch of a replay on the ranks of an MPI world, and writes its rows."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from collbench import registry
from collbench.devices.device import Device
from collbench.devices.opening import open_device
from collbench.errors import CANNOT_WRITE, Exit, UsageError
from collbench.host import fabric
from collbench.host.settings import conflicts
from collbench.host.streams import stdout_to_stderr
from collbench.measure.launch import new_run_id
from collbench.measure.sidecar import Sidecar, gather_facts, gather_late
from collbench.ranks.failure import end_all
from collbench.ranks.start import Child
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World, open_launch
from collbench.replay.compute import compute_of
from collbench.replay.opened import Opened
from collbench.replay.plan import plan_of
from collbench.replay.request import ReplayRequest
from collbench.replay.rows import RowMaker
from collbench.replay.runner import Runner
from collbench.replay.voices import spaces_of
from collbench.results.files import sidecar_path
from collbench.results.replays import ReplayRecord, dump, load
from collbench.results.writing import append_text

SHARE_OF_ROOM = 0.25  # of free memory, for outputs of a pass
MOST_ROOM = 8 << 30


def run(request: ReplayRequest, child: Child | None) -> None:
    """Run one launch, whose rows are appended to the results file; collective.

    An exception ends all ranks at once: unwinding would wait for the others in collective clean-up.
    """
    with ExitStack() as teardown, stdout_to_stderr():
        everyone = open_launch(teardown)
        dog = Watchdog(everyone, request.timeout)
        teardown.callback(dog.close)
        everyone = replace(everyone, patience=dog.patience)
        try:
            _run(request, everyone, dog)
        except BaseException as error:
            end_all(everyone, dog, error, CANNOT_WRITE if child else Exit.FAILED)


def _run(request: ReplayRequest, everyone: World, dog: Watchdog) -> None:
    dog.beat("opening devices")
    device = open_device(registry.find(request.backends[0]).DEVICE, everyone)
    everyone.teardown.callback(device.close)
    _check_own_gpus(everyone, device)
    deployment = request.listing.deployment
    plan = plan_of(deployment, request.one)
    opened = Opened(everyone, device, deployment.parallel.node, 0)
    spaces = spaces_of(plan, opened, _room(everyone, device))
    opened.arena_bytes = spaces.bytes
    stage = plan.stage_of(everyone.rank)
    compute = compute_of(request.compute, request.spin_seconds, device, deployment, request.one, stage)
    entry = gather_facts(everyone, request.argv, {device.kind: device}, replay=_facts(request), compute=compute.words)
    notes = Sidecar(request.path, [])
    run_id, launch = everyone.led(partial(_begin, request, notes, entry))
    disputed = everyone.bcast(tuple(each.name for each in conflicts(os.environ)))
    rows = RowMaker(request, run_id, launch, *_place(opened), disputed)
    Runner(request, plan, spaces, compute, opened, rows, dog, partial(_append, request)).run()
    late = gather_late(everyone, {})
    if late is not None:
        notes.end(late)
    dog.beat("closing")
    opened.close()


def _facts(request: ReplayRequest) -> dict[str, Any]:
    """The options of a replay, for its sidecar."""
    return {
        "spec": asdict(request.spec), "which": request.which, "pass": asdict(request.one),
        "backends": request.backends, "rest": request.rest,
        "compute": request.compute, "spin_seconds": request.spin_seconds,
        "skews": list(map(str, request.skews)), "warmup": request.warmup,
        "samples": request.samples, "max_seconds": request.max_seconds, "seed": request.seed,
    }  # fmt: skip


def _append(request: ReplayRequest, row: ReplayRecord) -> None:
    append_text(request.path, dump([row], header=False))


def _begin(request: ReplayRequest, notes: Sidecar, entry: dict[str, Any] | None) -> tuple[str, int]:
    """On rank 0: the identifier of the run and the number of this launch, whose facts are added to the sidecar."""
    rows, notes.launches = load(request.path), known_launches(request.path)
    run_id = rows[0].run_id if rows else new_run_id()
    launch = 1 + max([row.launch for row in rows] + [each["launch"] for each in notes.launches], default=-1)
    notes.begin(run_id, {"launch": launch, **(entry or {})})
    return run_id, launch


def known_launches(results: Path) -> list[dict[str, Any]]:
    """The launches that the sidecar of a results file describes, [] without one. Raises UsageError."""
    path = sidecar_path(results)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["launches"]
        return [{**each, "launch": int(each["launch"])} for each in found]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a sidecar of collbench ({error}); restore it, or give another -o.") from None


def _check_own_gpus(everyone: World, device: Device) -> None:
    """Raise RuntimeError where several ranks share a GPU."""
    if device.kind != "gpu":
        return
    places = everyone.launch.allgather((everyone.hosts[everyone.rank], device.facts()["pci"]))
    if len(set(places)) < len(places):
        raise UsageError("several ranks share a GPU; start one rank per GPU.")


def _room(everyone: World, device: Device) -> int:
    """Bytes for the outputs of a pass, the same on every rank."""
    here = Counter(everyone.hosts)[everyone.hosts[everyone.rank]]
    free = everyone.launch.allreduce(device.room(here).bytes, op=min)
    return min(MOST_ROOM, int(free * SHARE_OF_ROOM))


def _place(opened: Opened) -> tuple[int, str]:
    """The nodes of the launch, some of which may share a host, and the fabric between them."""
    everyone = opened.everyone
    layout = opened.layouts((tuple(range(everyone.size)),))[0]
    return layout.node_count, fabric.fabric_name(opened.device.kind, len(set(everyone.hosts)) == 1, layout.virtual)
