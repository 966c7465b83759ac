"""Sessions of MPI with a mistake in their use, for the backends of this directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mpi4py import MPI

from collbench.backends import Array, Call, ExactOrder, Problem

Mistake = Callable[["Session", Problem, Array, Array], Call]


class AllReduce:
    """What all backends here have in common: an all-reduce that runs everywhere, of an unknown order of additions."""

    def missing(self) -> str | None:
        return None

    def refuses(self, problem: Problem) -> str | None:
        return None if problem.collective.name == "all_reduce" else "all-reduce only"

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        return None

    def wire_bytes(self, problem: Problem) -> float | None:
        return None


@dataclass(frozen=True)
class Session:
    """An MPI communicator and the mistake in its use."""

    world: Any
    arena: Array
    mistake: Mistake
    memory: list[Any] = field(default_factory=list)
    forgets: bool = False

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        return self.mistake(self, problem, send, recv)

    def release(self) -> None:
        """Clear the memory, so that the mistake stays within one story."""
        if self.forgets:
            self.memory.clear()

    def close(self) -> None:
        """Does nothing: it holds no resources."""


def message(problem: Problem, array: Array) -> tuple[Array, MPI.Datatype]:
    """``array`` as mpi4py takes it; 16-bit floats as the integers of their bits."""
    types = {"float32": MPI.FLOAT, "float64": MPI.DOUBLE, "int32": MPI.INT32_T}
    kind = types.get(problem.dtype.name)
    return (array, kind) if kind is not None else (array.view("u2"), MPI.UINT16_T)


def reduce(session: Session, problem: Problem, send: Array, recv: Array) -> None:
    given = MPI.IN_PLACE if problem.in_place else message(problem, send)
    session.world.comm.Allreduce(given, message(problem, recv))
