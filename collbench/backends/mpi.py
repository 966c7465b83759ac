"""The MPI library's own collectives on host memory.

MPI has no 16-bit floats: the library reduces them with a user-defined operation, written in numpy. It has no RMSNorm
either: numpy adds the residual to the rounded result of an all-reduce, and normalises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collbench.backends import ExactOrder
from collbench.backends._unfused import in_sequence, norm_on_host
from collbench.devices.device import Array, Call, Device
from collbench.plan.collectives import RECEIVER, ROOT
from collbench.plan.problem import Problem

if TYPE_CHECKING:
    from collbench.ranks.world import World

DEVICE = "cpu"
SUMMARY = "the MPI library's own collectives, host memory"
EXACT_NORM = True


def missing() -> str | None:
    """None: this process runs under MPI."""
    return None


def refuses(problem: Problem) -> str | None:
    """Why MPI cannot run ``problem``, or None: MPI defines no average."""
    return "MPI defines no averaging operation" if problem.op == "avg" else None


def exact_order(problem: Problem) -> ExactOrder | None:
    """None: the library does not document its order."""
    return None


def wire_bytes(problem: Problem) -> float | None:
    """The message where it is sent once; otherwise None: the library chooses its algorithm."""
    return problem.bytes if problem.collective.name == "send" else None


def open(world: World, device: Device, arena_bytes: int) -> MpiSession:
    """A session on the communicator of ``world``."""
    return MpiSession(world, device.arena(arena_bytes))


@dataclass(frozen=True)
class MpiSession:
    """The communicator of the world, and user-defined operations for types that MPI does not have."""

    world: World
    arena: Array
    operations: dict[tuple[str, str], Any] = field(default_factory=dict)

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """One blocking MPI call; types that MPI does not have are reduced by a user-defined operation."""
        from mpi4py import MPI

        if problem.collective.normalises:
            return in_sequence(problem, send, recv, self.prepare, norm_on_host)
        comm = self.world.comm
        reduction = self._reduction(problem)
        source, target = message(problem, send), message(problem, recv)
        given = MPI.IN_PLACE if problem.in_place else source
        at_root = comm.Get_rank() == ROOT
        forms: dict[str, Call] = {
            "all_reduce": lambda: comm.Allreduce(given, target, reduction),
            "reduce_scatter": self._reduce_scatter(source, target, reduction, problem, send),
            "all_gather": lambda: comm.Allgather(given, target),
            "broadcast": self._broadcast(source, target, at_root, problem),
            "gather": lambda: comm.Gather(source, target if at_root else None, ROOT),
            "send_recv": self._ring(source, target),
            "all_to_all": lambda: comm.Alltoall(source, target),
            "send": (lambda: comm.Send(source, RECEIVER)) if at_root else (lambda: comm.Recv(target, ROOT)),
        }
        return forms[problem.collective.name]

    def _reduce_scatter(self, source: Any, target: Any, op: Any, problem: Problem, send: Array) -> Call:
        from mpi4py import MPI

        comm = self.world.comm
        if not problem.in_place:
            return lambda: comm.Reduce_scatter_block(source, target, op)
        # MPI leaves an in-place result at the start of the buffer, NCCL in the rank's own share: move it there.
        share = problem.count // problem.layout.size
        rank = comm.Get_rank()

        def call() -> None:
            comm.Reduce_scatter_block(MPI.IN_PLACE, source, op)
            if rank:
                send[rank * share : (rank + 1) * share] = send[:share]

        return call

    def _broadcast(self, source: Any, target: Any, at_root: bool, problem: Problem) -> Call:
        comm = self.world.comm
        if problem.in_place or not at_root:
            return lambda: comm.Bcast(target, ROOT)

        def call() -> None:  # MPI broadcasts in place only: out of place the root also fills its own output
            target[0][...] = source[0]
            comm.Bcast(target, ROOT)

        return call

    def _ring(self, source: Any, target: Any) -> Call:
        comm = self.world.comm
        after, before = (comm.Get_rank() + 1) % comm.Get_size(), (comm.Get_rank() - 1) % comm.Get_size()
        return lambda: comm.Sendrecv(source, after, recvbuf=target, source=before)

    def _reduction(self, problem: Problem) -> Any:
        from mpi4py import MPI

        known = {"sum": MPI.SUM, "min": MPI.MIN, "max": MPI.MAX}
        if problem.dtype.itemsize != 2 or not problem.op:
            return known.get(problem.op)
        key = (problem.dtype.name, problem.op)
        if key not in self.operations:
            self.operations[key] = rounding_reduction(problem)
        return self.operations[key]

    def release(self) -> None:
        """Does nothing: calls hold no resources."""

    def close(self) -> None:
        """Free the operations; the world frees the communicator."""
        for operation in self.operations.values():
            operation.Free()


def message(problem: Problem, array: Array) -> Any:
    """``array`` as a buffer for mpi4py; 16-bit floats are sent as 16-bit integers, which MPI has."""
    from mpi4py import MPI

    types = {"float32": MPI.FLOAT, "float64": MPI.DOUBLE, "int32": MPI.INT32_T, "int64": MPI.INT64_T}
    kind = types.get(problem.dtype.name)
    return (array, kind) if kind is not None else (array.view("u2"), MPI.UINT16_T)


def rounding_reduction(problem: Problem) -> Any:
    """An MPI operation on 16-bit floats that combines in numpy and rounds after each addition."""
    import numpy as np
    from mpi4py import MPI

    combine: Callable[..., Any] = {"sum": np.add, "min": np.minimum, "max": np.maximum}[problem.op]
    kind = problem.dtype.numpy

    def apply(one: Any, other: Any, datatype: MPI.Datatype) -> None:
        target = np.frombuffer(other, kind)
        combine(np.frombuffer(one, kind), target, out=target)

    return MPI.Op.Create(apply, commute=True)
