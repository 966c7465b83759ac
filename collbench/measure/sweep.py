"""Runs a sweep, on ranks that collbench starts for each launch or on those of a launcher."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from collbench.errors import CANNOT_WRITE, Exit, UsageError
from collbench.host.load import crowding
from collbench.measure.continuing import check_options, read_launches
from collbench.measure.launches import Launches
from collbench.measure.next_launch import missing_rows
from collbench.measure.progress import Followed, Progress
from collbench.measure.request import SweepRequest
from collbench.plan.sweep import Sweep
from collbench.plan.worlds import layouts_for
from collbench.ranks.endings import cause
from collbench.ranks.launcher import Launcher, check_world
from collbench.ranks.library import load_mpi
from collbench.ranks.mpiexec import find_mpiexec
from collbench.ranks.start import Child
from collbench.results import lock
from collbench.results.files import ResultFile, renew
from collbench.results.records import Record, load

__all__ = ["Ended", "SweepRequest", "on_own_ranks", "on_these_ranks"]
MOST_RANKS = 128  # that specs may ask of one machine


@dataclass(frozen=True)
class Ended:
    """The outcome of a sweep: exit code and rows of its file, None on ranks that do not report. ``why``: a sentence if
    the ranks ended before all cases had a row."""

    code: int
    path: Path
    records: tuple[Record, ...] | None = None
    why: str = ""


def on_own_ranks(
    request: SweepRequest, ranks: int, progress: Progress, arguments: Sequence[str] | None = None
) -> Ended:
    """Start ranks on this machine for each launch, all of which append to one file.

    They run ``collbench ARGUMENTS``, by default those of this command.
    """
    if request.topology.groupings and ranks > MOST_RANKS:  # a number that the user has not given
        raise UsageError(
            f"--llm needs {ranks} ranks, more than the {MOST_RANKS} that collbench starts on one machine; start them "
            "on several with mpiexec, srun or collbench submit."
        )
    find_mpiexec()
    path = request.path
    held = lock.take(path, (lock.COMMAND, lock.RANKS))
    try:
        if request.resume and path.exists():
            layouts, _ = layouts_for(request.topology, ["here"] * ranks)
            check_options(request, read_launches(path), layouts)
            renew(path)  # before anybody follows it
        else:
            ResultFile.create(path, request.force)
        if not progress.quiet and (words := crowding(ranks)):
            print(f"collbench: {words}.", file=sys.stderr)
        held.hand_over()
        command, *rest = _repeatable(request.argv) if arguments is None else arguments
        origin = ["--configured-by", str(request.origin)] if request.origin else []
        launches = _launches(request, ranks, [command, "-o", str(path), "--resume", *origin, *rest], progress)
        return _ended(request, launches.run(), launches)
    finally:
        held.release(remove_file=True)


def _ended(request: SweepRequest, code: int, launches: Launches) -> Ended:
    path = request.path
    if code == Exit.USAGE or (code == CANNOT_WRITE and not path.exists()):
        return Ended(Exit.USAGE if code == Exit.USAGE else Exit.FAILED, path)
    records = tuple(load(path, drop_cut_row=True))
    if code == CANNOT_WRITE:
        return Ended(Exit.FAILED, path, records, "The results could not be written.")
    if code and launches.missing(records):
        return Ended(code, path, records, cause(code, launches.doing()))
    return Ended(request.goal.code(records) or (Exit.FAILED if code else Exit.FINE), path, records)


def _launches(request: SweepRequest, ranks: int, arguments: Sequence[str], progress: Progress) -> Launches:
    layouts, _ = layouts_for(request.topology, ["here"] * ranks)

    def missing(records: Sequence[Record]) -> int:
        return missing_rows(request.sweep, layouts, records, request.goal)

    def report(records: Sequence[Record]) -> None:
        if words := request.goal.state(records):
            progress.say(words)

    watch = Followed(request.path, progress, missing).look
    return Launches(request, ranks, arguments, layouts, watch, report)


def _repeatable(argv: Sequence[str]) -> list[str]:
    """The arguments of the command that its ranks take too."""
    return [word for word in argv if word not in ("--force", "--json", "--markdown", "--latex", "--quiet")]


def on_these_ranks(request: SweepRequest, launcher: Launcher, child: Child | None, progress: Progress) -> Ended:
    """Run one launch on the ranks of a launcher; ``child`` where collbench started them. Collective."""
    load_mpi(own_rank=child is not None)
    from mpi4py import MPI

    from collbench.measure import launch

    comm = MPI.COMM_WORLD
    check_world(launcher, comm.Get_size())
    if (times := _commands(request.sweep)) > 1 and not request.resume:
        wanted = f"--launches {request.sweep.launches}"
        if request.sweep.variants:
            wanted = f"the {times} that {wanted} of plain backends and of each variant are"
        raise UsageError(
            f"{launcher.name} starts one launch, not {wanted}; run this command {times} times with --resume and the "
            "same -o, or omit the launcher so that collbench starts the ranks."
        )
    request = replace(request, path=comm.bcast(request.path))
    launch.run(request, progress, child)
    if child:
        return Ended(Exit.FINE, request.path)  # the parent process reads the rows and reports
    return _judged(request)


def _commands(sweep: Sweep) -> int:
    """The number of sets of ranks that time a sweep."""
    return sweep.launches * len(sweep.legs(0))


def _judged(request: SweepRequest) -> Ended:
    """The outcome that rank 0 reads from the file; other ranks get its exit code and no rows. Collective."""
    from mpi4py import MPI

    records, error = None, None
    if MPI.COMM_WORLD.Get_rank() == 0:
        try:
            records = tuple(load(request.path))
        except UsageError as mistake:  # raised below, on all ranks
            error = mistake
    code, error = MPI.COMM_WORLD.bcast((request.goal.code(records or ()), error))
    if error is not None:
        raise error
    return Ended(code, request.path, records)
