"""Cases that need more memory than there is: known and skipped before anything is allocated for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from collbench import registry
from collbench.devices.device import Device
from collbench.host.memory import Room, show_bytes
from collbench.plan.problem import Case, Problem
from collbench.proof.buffers import arena_bytes
from collbench.ranks.world import World

MARGIN = 0.9  # of what is free: libraries and other processes allocate meanwhile
COPIES = 2  # of a message, which libraries keep while they reduce it


def needed_bytes(problem: Problem, device: Device) -> int:
    """Bytes that a rank allocates for ``problem``: its buffers, and copies inside the library."""
    return arena_bytes(problem, device) + COPIES * problem.bytes


def too_large(everyone: World, devices: Mapping[str, Device]) -> Callable[[Case], str | None]:
    """A function that returns why a case does not fit into the memory of some rank, or None; collective."""
    ranks_here = Counter(everyone.hosts)[everyone.hosts[everyone.launch.Get_rank()]]
    mine = {kind: device.room(ranks_here) for kind, device in devices.items()}
    rooms = everyone.launch.allgather(mine)
    least = {kind: min((room[kind] for room in rooms), key=lambda room: room.bytes) for kind in devices}

    def why(case: Case) -> str | None:
        kind = registry.find(case.spec).DEVICE
        return _shortage(needed_bytes(case.problem, devices[kind]), least[kind]) if kind in devices else None

    return why


def _shortage(needed: int, room: Room) -> str | None:
    free = int(room.bytes * MARGIN)
    if needed <= free:
        return None
    return f"needs {show_bytes(needed)} per rank, but {show_bytes(free)} are free {room.where}"
