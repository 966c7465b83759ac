"""NCCL through nccl4py: communicators over an MPI world, memory, and each collective as one call."""

from __future__ import annotations

from typing import Any

import cupy
import nccl.core as nc
from nccl.bindings import nccl as lib

from collbench.devices.device import Array, Call
from collbench.host import nccl_log, transports
from collbench.plan.collectives import RECEIVER, ROOT
from collbench.plan.problem import Problem
from collbench.ranks.world import World

DATA_TYPES = {
    "float16": nc.FLOAT16, "bfloat16": nc.BFLOAT16, "float32": nc.FLOAT32, "float64": nc.FLOAT64, "int32": nc.INT32,
    "int64": nc.INT64,
}  # fmt: skip
REDUCTIONS = {"sum": nc.SUM, "min": nc.MIN, "max": nc.MAX, "avg": nc.AVG, "": nc.SUM}


def allocate(size: int) -> Array:
    """``size`` bytes from ncclMemAlloc as a cupy array: memory that can be registered as a symmetric window."""
    with nccl_log.log().enabled():
        buffer = nc.mem_alloc(size)
    memory = cupy.cuda.UnownedMemory(int(buffer.handle), size, owner=buffer)
    return cupy.ndarray((size,), cupy.uint8, cupy.cuda.MemoryPointer(memory, 0))


class NcclCommunicator:
    """An NCCL communicator over the members of a world. Calls the bindings directly, without Python checks per call."""

    def __init__(self, world: World) -> None:
        self._log = nccl_log.log()
        self._since = self._log.size()
        with self._log.enabled():
            uid = world.bcast(bytes(nc.get_unique_id()) if world.rank == 0 else b"")
            self._owner = nc.Communicator.init(world.size, world.rank, nc.UniqueId.from_bytes(uid))
        self._handle: Any = lib.Comm(self._owner.ptr)
        self._rank, self._size = world.rank, world.size

    def register(self, arena: Array) -> None:
        """Register ``arena`` as a symmetric window; collective."""
        self._owner.register_window(arena, nc.WindowFlag.COLL_SYMMETRIC)

    def all_reduce(self, array: Array, stream: int) -> None:
        """Sum ``array`` (float32) in place over the ranks."""
        lib.all_reduce(array.data.ptr, array.data.ptr, array.size, int(nc.FLOAT32), int(nc.SUM), self._handle, stream)

    def call(self, problem: Problem, send: Array, recv: Array, stream: int) -> Call:
        """A call that enqueues ``problem`` on ``stream`` (a cudaStream_t)."""
        name, n = problem.collective.name, problem.count
        kind, op = int(DATA_TYPES[problem.dtype.name]), int(REDUCTIONS[problem.op])
        source, target, comm = send.data.ptr, recv.data.ptr, self._handle
        share = n // self._size
        calls: dict[str, Call] = {
            "all_reduce": lambda: lib.all_reduce(source, target, n, kind, op, comm, stream),
            "reduce_scatter": lambda: lib.reduce_scatter(source, target, share, kind, op, comm, stream),
            "all_gather": lambda: lib.all_gather(source, target, share, kind, comm, stream),
            "broadcast": lambda: lib.broadcast(source, target, n, kind, ROOT, comm, stream),
            "gather": lambda: lib.gather(source, target, share, kind, ROOT, comm, stream),
            "send_recv": lambda: self._send_recv(source, target, n, kind, stream),
            "all_to_all": lambda: lib.allto_all(source, target, share, kind, comm, stream),
            "send": (
                (lambda: lib.send(source, n, kind, RECEIVER, comm, stream))
                if self._rank == ROOT
                else (lambda: lib.recv(target, n, kind, ROOT, comm, stream))
            ),
        }
        return calls[name]

    def _send_recv(self, source: int, target: int, count: int, kind: int, stream: int) -> None:
        lib.group_start()
        lib.send(source, count, kind, (self._rank + 1) % self._size, self._handle, stream)
        lib.recv(target, count, kind, (self._rank - 1) % self._size, self._handle, stream)
        lib.group_end()

    def transport(self) -> str:
        """The transports from this rank to others, known once a call has run; see ``host.transports``. Only one world
        is open at a time, so all that NCCL has logged since this communicator was created concerns it."""
        return transports.of_nccl(self._log.read(), self._log.read(self._since))

    def close(self) -> None:
        """Destroy the communicator; collective."""
        self._owner.destroy()


def version() -> str:
    """Version of the loaded NCCL library."""
    found = nc.get_version().libnccl
    return str(found.version) if found else "not available"
