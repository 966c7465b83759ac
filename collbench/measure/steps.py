"""Announces the steps of a launch: what the ranks are doing, and the rows to record if the job ends meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mpi4py import MPI

from collbench.measure.rows import Row, RowMaker
from collbench.plan.problem import Case
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World
from collbench.results.files import ENDED

Emit = Callable[[Row], None]
Begin = Callable[[Sequence[Row]], None]


@dataclass(frozen=True)
class Steps:
    """Announces steps to the watchdog.

    All ranks of a step announce it, and none begins it before all have ended the one before: whichever rank ends the
    job is in the step that rank 0 has announced.

    On rank 0, ``begin`` is called before each step with the rows to record if the job ends during it without a message,
    and ``emit`` with the rows of cases that are known to have ended it.
    """

    rows: RowMaker
    dog: Watchdog
    begin: Begin
    emit: Emit

    def of_case(self, world: World, doing: str, case: Case) -> None:
        """Announce the next step of a case."""
        problem = case.problem
        what = f"{problem.collective.name} {problem.dtype.name} {problem.op} {problem.bytes} B {problem.mode}"
        self._announce(world.comm, doing, f"{doing}: {case.backend} {what} on {problem.layout}", [case])

    def of_backend(self, world: World, doing: str, cases: Sequence[Case]) -> None:
        """Announce a step of the whole launch, on which all ``cases`` of a backend in this world depend."""
        self._announce(world.launch, doing, f"{doing} on {world.layout}", cases)

    def _announce(self, comm: MPI.Intracomm, doing: str, words: str, cases: Sequence[Case]) -> None:
        comm.Barrier()
        if comm.Get_rank() == 0:
            self.begin([self.rows.failed(case, f"{ENDED} while {doing}") for case in cases])
            self.dog.beat(words, lambda status, reason: self._end(cases, status, reason))
        else:
            self.dog.beat(words)
        comm.Barrier()

    def _end(self, cases: Sequence[Case], status: str, reason: str) -> None:
        for case in cases:
            hung = status == "timeout"
            self.emit(self.rows.timeout(case, reason) if hung else self.rows.failed(case, f"{reason}; {ENDED}"))
