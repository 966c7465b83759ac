"""NVSHMEM's own on-stream collectives over its symmetric heap.

NVSHMEM delegates collectives to NCCL where it can, so ``NVSHMEM_DISABLE_NCCL=1`` is set before it is initialised;
otherwise this backend would time NCCL. Where rows are normalised, a kernel of ours follows its all-reduce.

A send is a put with a signal for which the receiver's stream waits. The sender's stream waits first until the receiver
has reached its call, as NCCL does, since the buffer may be in use until then.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from collbench.backends._unfused import in_sequence, norm_on_gpu, reduction
from collbench.host.gpus import gpu_missing
from collbench.plan.collectives import RECEIVER, ROOT

if TYPE_CHECKING:
    from collbench.backends import ExactOrder
    from collbench.devices.device import Array, Call, Device
    from collbench.devices.gpu import Gpu
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

DEVICE = "gpu"
SUMMARY = "NVSHMEM's own on-stream collectives"
EXACT_NORM = True
TYPES = {
    "float16": "half", "bfloat16": "bfloat16", "float32": "float", "float64": "double", "int32": "int32",
    "int64": "int64",
}  # fmt: skip
FUNCTIONS = {
    "all_reduce": "{op}_reduce", "reduce_scatter": "{op}_reducescatter", "all_gather": "fcollect",
    "all_to_all": "alltoall",
}  # fmt: skip
HAS = (*FUNCTIONS, "broadcast", "send")


def missing() -> str | None:
    """Why this machine cannot run it: no GPU or no nvshmem4py; or None."""
    return gpu_missing(nvshmem="nvshmem4py-cu13")


def refuses(problem: Problem) -> str | None:
    """Why NVSHMEM cannot run ``problem`` on a stream and a team of evenly spaced ranks, or None."""
    if reduction(problem).collective.name not in HAS:
        return f"NVSHMEM has no on-stream {problem.collective.name}"
    if problem.op == "avg":
        return "NVSHMEM has no averaging reduction"
    strides = [{after - before for before, after in pairwise(members)} for members in problem.layout.groups]
    if any(len(each) > 1 or min(each, default=1) < 1 for each in strides):
        return "an NVSHMEM team needs evenly spaced ranks in ascending order, and these are not"
    return None


def exact_order(problem: Problem) -> ExactOrder | None:
    """None: NVSHMEM does not document its order."""
    return None


def wire_bytes(problem: Problem) -> float | None:
    """The message of a send, which is put once; otherwise None: NVSHMEM does not report it."""
    return problem.bytes if problem.collective.name == "send" else None


def open(world: World, device: Device, arena_bytes: int) -> NvshmemSession:
    """Initialise NVSHMEM for the launch, if needed; returns a session with a team and memory from the heap."""
    import nvshmem.core as nvshmem

    from collbench.devices.nvshmem import start

    start(world)
    arena, counters = nvshmem.array((arena_bytes,), dtype="uint8"), nvshmem.array((2,), dtype="uint64")
    counters.fill(0)
    device.settle()
    world.launch.Barrier()  # before a peer adds to them
    world_team, members = int(nvshmem.Teams.TEAM_WORLD), world.layout.members
    everyone = world.size == world.launch.Get_size()
    team = world_team if everyone else max(_split(world_team, each) for each in world.groups)
    return NvshmemSession(world, cast("Gpu", device), arena, counters, members, team, owned=not everyone)


def _split(parent: int, members: tuple[int, ...]) -> int:
    """The team of ``members``, evenly spaced PEs of ``parent``; -1 outside the team. Collective over the parent, whose
    PEs all pass the same members."""
    from nvshmem.bindings import nvshmem as lib

    handle, stride = ctypes.c_int(-1), members[1] - members[0]
    lib.team_split_strided(parent, members[0], stride, len(members), 0, 0, ctypes.addressof(handle))
    return handle.value


@dataclass(frozen=True)
class NvshmemSession:
    """A team, a range of the symmetric heap and the counters of sends in it; implements ``Session``."""

    world: World
    device: Gpu
    arena: Array
    counters: Array
    members: tuple[int, ...]
    team: int
    owned: bool

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """One on-stream collective of the team, and the norm behind it where rows are normalised."""
        if problem.collective.normalises:
            return in_sequence(problem, send, recv, self.prepare, norm_on_gpu(self.world, self.device))
        from nvshmem.bindings import nvshmem as lib

        kind, n, name = TYPES[problem.dtype.name], problem.count, problem.collective.name
        source, target, stream, team = send.data.ptr, recv.data.ptr, self.device.stream.ptr, self.team
        if name == "send":
            return self._send(problem, send, recv)
        if name == "broadcast":
            broadcast = getattr(lib, f"{kind}_broadcast_on_stream")
            return lambda: broadcast(team, target, source, n, ROOT, stream)
        run = getattr(lib, f"{kind}_{FUNCTIONS[name].format(op=problem.op)}_on_stream")
        each = n // problem.layout.size if problem.collective.splits else n
        return lambda: run(team, target, source, each, stream)

    def _send(self, problem: Problem, send: Array, recv: Array) -> Call:
        """The call of this rank's side. The receiver says where its output is, since that of the sender is empty."""
        from collbench.devices.nvshmem import Handshake

        heap, free, stream = self.arena.data.ptr, self.counters.data.ptr, self.device.stream.ptr
        between = Handshake(free, free + self.counters.itemsize, self.members[ROOT], self.members[RECEIVER])
        place = self.world.comm.bcast(recv.data.ptr - heap, RECEIVER)
        if self.world.rank == RECEIVER:
            return between.receive(stream)
        return between.send(heap + place, send.data.ptr, problem.bytes, stream)

    def transport(self) -> str:
        """NVSHMEM's transports from this PE to the other members."""
        from collbench.devices.nvshmem import transport

        return transport(self.arena.data.ptr, self.members)

    def release(self) -> None:
        """Does nothing: calls hold no resources."""

    def close(self) -> None:
        """Free the memory and the team; collective over the launch."""
        import nvshmem.core as nvshmem

        self.device.settle()
        nvshmem.free_array(self.arena)
        nvshmem.free_array(self.counters)
        if self.owned and self.team >= 0:
            from nvshmem.bindings import nvshmem as lib

            lib.team_destroy(self.team)
