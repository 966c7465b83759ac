"""Announces the steps of a launch: what the ranks are doing, and the rows to record if the job ends meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mpi4py import MPI

from collbench.measure.rows import Row, RowMaker
from collbench.plan.problem import Case
from collbench.plan.rms_norm import rows_words
from collbench.plan.skew import skew_words
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World
from collbench.results.files import ENDED

Emit = Callable[[Row], None]
Begin = Callable[[Sequence[Row]], None]
REPORT_TAG, TAKEN_TAG = 7, 8
BETWEEN = "between cases"


@dataclass(frozen=True)
class Step:
    """What the ranks are about to do, in ``words`` for a person, and the cases that it concerns."""

    doing: str
    words: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Steps:
    """Announces steps to the watchdog.

    All ranks of a step announce it, and none begins it before all have ended the one before: whichever rank ends the
    job is in the step that rank 0 has announced.

    On rank 0 of the launch, which alone writes the file, ``begin`` is called before each step with the rows to record
    if the job ends during it without a message, and ``emit`` with the rows of finished cases, and of those that are
    known to have ended the job. Of a world without that rank, the first rank reports to it, and waits until it has
    written.
    """

    rows: RowMaker
    dog: Watchdog
    begin: Begin
    emit: Emit

    def of_case(self, world: World, doing: str, case: Case) -> None:
        """Announce the next step of a case."""
        problem = case.problem
        rows = f" {rows_words(problem.hidden)}" if problem.hidden else ""
        kind = f"{problem.collective.name}{rows} {problem.dtype.name} {problem.op}"
        skew = f" {skew_words(str(problem.skew))}" if problem.skew else ""
        what = f"{kind} {problem.bytes} B {problem.mode}{skew}"
        self._announce(world, world.comm, Step(doing, f"{doing}: {case.backend} {what} on {problem.layout}", (case,)))

    def of_backend(self, world: World, doing: str, cases: Sequence[Case]) -> None:
        """Announce a step of the whole launch, on which all ``cases`` of a backend in this world depend."""
        self._announce(world, world.launch, Step(doing, f"{doing} on {world.layout}", tuple(cases)))

    def ended(self, world: World, row: Row) -> None:
        """The row of a case of ``world``, on its rank 0: the end of the job no longer concerns the case."""
        self._report(world, row)

    def take_reports(self, launch: MPI.Intracomm) -> None:
        """On rank 0 of the launch, take what a world without it has reported since; on others there is nothing."""
        status = MPI.Status()
        while launch.iprobe(tag=REPORT_TAG, status=status):
            self._take(launch.recv(source=status.Get_source(), tag=REPORT_TAG))
            launch.send(None, status.Get_source(), TAKEN_TAG)

    def _announce(self, world: World, comm: MPI.Intracomm, step: Step) -> None:
        comm.Barrier()
        if comm.Get_rank() == 0:
            self._report(world, step)
        else:
            self.dog.beat(step.words)
        comm.Barrier()

    def _report(self, world: World, report: Step | Row) -> None:
        if world.launch.Get_rank() == 0:
            self._take(report)
            return
        world.launch.send(report, 0, REPORT_TAG)
        world.launch.recv(source=0, tag=TAKEN_TAG)
        self.dog.beat(report.words if isinstance(report, Step) else BETWEEN)

    def _take(self, report: Step | Row) -> None:
        if isinstance(report, Row):
            self.dog.done(partial(self.emit, report))
            self.dog.beat(BETWEEN)
            return
        self.begin([self.rows.failed(case, f"{ENDED} while {report.doing}") for case in report.cases])
        self.dog.beat(report.words, partial(self._end, report.cases))

    def _end(self, cases: Sequence[Case], status: str, reason: str) -> None:
        for case in cases:
            hung = status == "timeout"
            self.emit(self.rows.timeout(case, reason) if hung else self.rows.failed(case, f"{reason}; {ENDED}"))
