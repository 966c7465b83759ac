"""Counts the bytes that all-reduces send between hosts, beside what their rows state: a job of lab.launch.

``PYTHONPATH=tests python -m lab.launch --hosts 4 --module lab.wire -- mpi,mpi-nvrar 64K,1M [DTYPE]``: for each backend
and size, the bytes that left the busiest host per call, with all headers; with one rank a host, also those that the
backend states for a rank (``wire_bytes``), and the ratio of the two. Backends run all on GPUs or all on processors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from collbench import registry
from collbench.backends import DescribedCall
from collbench.devices.device import Call, Device, Region
from collbench.devices.opening import open_device
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import Problem
from collbench.plan.sizes import format_size, parse_sizes
from collbench.ranks.world import World, open_launch
from collbench.replay.opened import Opened
from lab.switch import PATH, Switch

WARM_UP, CALLS = 5, 20


@dataclass(frozen=True)
class Crossing:
    """What leaves the busiest host for a call, headers included, and what one rank sends by its backend's word."""

    backend: str
    bytes: int
    sent: float
    packets: float
    stated: float | None

    def __str__(self) -> str:
        ratio = "" if self.stated is None else f"{self.stated:12.0f} {self.sent / self.stated:6.3f}"
        return f"{self.backend:36} {format_size(self.bytes):>8} {self.sent:12.0f} {self.packets:9.1f} {ratio}"


HEAD = f"{'backend':36} {'size':>8} {'bytes/call':>12} {'packets':>9} {'wire_bytes':>12} {'ratio':>6}"


def busiest(before: Mapping[tuple[int, int], int], after: Mapping[tuple[int, int], int]) -> int:
    """The most that a host sent to others between two counts by pair of hosts."""
    sent: dict[int, int] = {}
    for (source, target), count in after.items():
        sent[source] = sent.get(source, 0) + count - before.get((source, target), 0)
    return max(sent.values(), default=0)


def _call_often(world: World, device: Device, call: Call, calls: int) -> None:
    for _ in range(calls):
        call()
    device.settle()
    world.comm.Barrier()


def _counts(switch: Switch) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
    seen = switch.counts()
    return {pair: each.bytes for pair, each in seen.items()}, {pair: each.packets for pair, each in seen.items()}


def crossings(everyone: World, specs: str, sizes: str, dtype: str, switch: Switch) -> Iterator[Crossing]:
    """What crosses for each backend and size; collective over all ranks."""
    backends, all_sizes = [registry.find(spec) for spec in specs.split(",")], parse_sizes(sizes)
    device = open_device(backends[0].DEVICE, everyone)
    opened = Opened(everyone, device, 1, 2 * max(all_sizes))
    problems = [
        Problem(everyone.layout, COLLECTIVES["all_reduce"], DTYPES[dtype], "sum", size, "chain", "hot", False)
        for size in all_sizes
    ]
    for spec, backend in zip(specs.split(","), backends, strict=True):
        session = opened.session(spec, everyone.layout)
        for problem in problems:
            regions = (Region(at, 0, 1, problem.count, problem.dtype) for at in (0, problem.bytes))
            call = session.prepare(problem, *(device.view(session.arena, region, 0) for region in regions))
            _call_often(everyone, device, call, WARM_UP)
            before = everyone.led(lambda: _counts(switch))
            _call_often(everyone, device, call, CALLS)
            after = everyone.led(lambda: _counts(switch))
            sent, packets = (busiest(*two) / CALLS for two in zip(before, after, strict=True))
            own = call.wire_bytes if isinstance(call, DescribedCall) else None
            stated = (own or backend.wire_bytes(problem)) if everyone.layout.per_node == 1 else None
            yield Crossing(spec, problem.bytes, sent, packets, stated)
            session.release()
    opened.close()


def main() -> None:
    """Print the table, on rank 0."""
    specs, sizes, dtype = (*sys.argv[1:], "float32")[:3]
    with ExitStack() as teardown:
        everyone = open_launch(teardown)
        if everyone.rank == 0:
            print(HEAD, flush=True)
        for found in crossings(everyone, specs, sizes, dtype, Switch(Path(os.environ[PATH]))):
            if everyone.rank == 0:
                print(found, flush=True)


if __name__ == "__main__":
    main()
