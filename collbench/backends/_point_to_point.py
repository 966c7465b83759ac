"""Shared code of all-reduces over MPI point-to-point: arithmetic with its roundings, requests, and the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from collbench.backends.mpi import message
from collbench.devices.device import Array, Call, Device, Values
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem

if TYPE_CHECKING:
    import numpy as np

    from collbench.ranks.world import World


class Combine(Protocol):
    """A function of numpy's that combines two arrays, into a third where one is named."""

    def __call__(self, mine: Values, theirs: Values, /, *, out: Values | None = None) -> Values: ...


def combine_of(op: str) -> Combine:
    """The function that combines two arrays for ``op``; an average is a sum until its last step."""
    import numpy as np

    known: dict[str, Combine] = {"sum": np.add, "avg": np.add, "min": np.minimum, "max": np.maximum}
    return known[op]


def wide(dtype: np.dtype[Any]) -> np.dtype[Any] | str:
    """The type in which sums are formed: fp32 for 16-bit floats."""
    return "float32" if dtype.itemsize == 2 else dtype


def pair_sum(mine: Values, theirs: Values, combine: Combine) -> Values:
    """``mine`` and ``theirs`` combined, with one rounding."""
    kind = wide(mine.dtype)
    return combine(mine.astype(kind, copy=False), theirs.astype(kind, copy=False)).astype(mine.dtype, copy=False)


def add_to(total: Values, theirs: Values, combine: Combine) -> None:
    """Replace ``total`` by its ``pair_sum`` with ``theirs``; where nothing is rounded to 16 bits, without a copy."""
    if total.dtype.itemsize == 2:
        total[...] = pair_sum(total, theirs, combine)
    else:
        combine(total, theirs, out=total)


def node_sum(parts: Sequence[Values] | Values, combine: Combine) -> Values:
    """G ``parts`` of shape (n,) combined in order, with one rounding; shape (n,). Of one part, the part itself."""
    total: Values = parts[0].astype(wide(parts[0].dtype), copy=False)
    for part in parts[1:]:
        total = combine(total, part.astype(total.dtype, copy=False))
    return total.astype(parts[0].dtype, copy=False)


def sum_of_nodes(inputs: Values, layout: Layout, op: str) -> Values:
    """Each node's sum in order of rank, then these in order of node, each rounded once. (ranks, n) -> (n,)."""
    import numpy as np

    combine, nodes = combine_of(op), np.array(layout.nodes)
    sums = [node_sum(inputs[nodes == node], combine) for node in range(layout.node_count)]
    return node_sum(np.stack(sums), combine)


def average(total: Values, ranks: int) -> Values:
    """``total`` divided by ``ranks``, with one rounding: the last step of ``avg``."""
    quotient: Values = total.astype(wide(total.dtype)) / ranks
    return quotient.astype(total.dtype)


class Exchange:
    """Persistent requests that are started together and awaited together.

    ``pairs``: (peer, send buffer, receive buffer), with None for a direction without a message. Both sides use the same
    ``tag``.
    """

    def __init__(
        self, comm: Any, problem: Problem, tag: int, pairs: list[tuple[int, Values | None, Values | None]]
    ) -> None:
        receives = [(peer, theirs) for peer, _, theirs in pairs if theirs is not None]
        sends = [(peer, mine) for peer, mine, _ in pairs if mine is not None]
        self._requests = [comm.Recv_init(message(problem, theirs), peer, tag) for peer, theirs in receives]
        self._requests += [comm.Send_init(message(problem, mine), peer, tag) for peer, mine in sends]

    def __call__(self) -> None:
        from mpi4py import MPI

        MPI.Prequest.Startall(self._requests)
        MPI.Request.Waitall(self._requests)

    def free(self) -> None:
        """Free the requests."""
        for request in self._requests:
            request.Free()


class PointToPointCall(Protocol):
    """One all-reduce between two buffers, prepared once and run repeatedly."""

    def __call__(self) -> None: ...

    def free(self) -> None:
        """Free all requests."""


Maker = Callable[[Any, Problem, Array, Array], PointToPointCall]


def open_session(world: World, device: Device, arena_bytes: int, make: Maker) -> PointToPointSession:
    """A session on its own communicator, so that its messages match no other backend's.

    ``make(comm, problem, send, recv)`` returns a schedule; it is called on all members.
    """
    return PointToPointSession(world, device.arena(arena_bytes), world.comm.Dup() if world.member else world.comm, make)


@dataclass(frozen=True)
class PointToPointSession:
    """The schedules prepared on one world; implements ``Session``."""

    world: World
    arena: Array
    comm: Any
    make: Maker
    schedules: list[PointToPointCall] = field(default_factory=list)

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """The schedule for ``problem``, with its persistent requests."""
        schedule = self.make(self.comm, problem, send, recv)
        self.schedules.append(schedule)
        return schedule

    def release(self) -> None:
        """Free the requests of all schedules."""
        for schedule in self.schedules:
            schedule.free()
        self.schedules.clear()

    def close(self) -> None:
        """Free the communicator."""
        if self.world.member:
            self.comm.Free()
