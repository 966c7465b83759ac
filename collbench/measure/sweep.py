"""Runs a sweep, on ranks that collbench starts for each launch or on those of a launcher."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from collbench.errors import INTERRUPTED, Exit, UsageError, exit_of
from collbench.measure.progress import Progress
from collbench.measure.request import SweepRequest
from collbench.ranks.launcher import Launcher, check_world, find_mpiexec
from collbench.ranks.start import Child, launch_ranks
from collbench.results.files import ResultFile, doing_path
from collbench.results.records import Record, load

__all__ = ["Ended", "SweepRequest", "on_own_ranks", "on_these_ranks"]
TERMINATED = 143  # 128 + SIGTERM


@dataclass(frozen=True)
class Ended:
    """The outcome of a sweep: exit code and rows of its file, None on ranks that do not report. ``cut_short``: the
    ranks ended before all cases had a row."""

    code: int
    path: Path
    records: tuple[Record, ...] | None = None
    cut_short: bool = False


def on_own_ranks(request: SweepRequest, ranks: int) -> Ended:
    """Start ``ranks`` ranks on this machine for each launch, all of which append to one file."""
    find_mpiexec()
    path = request.path
    if not (request.resume and path.exists()):
        ResultFile.create(path, request.force)
    words = [word for word in request.argv if word not in ("--force", "--json")]
    code = launch_ranks(ranks, [*words, "-o", str(path), "--resume"], request.sweep.launches)
    if code == Exit.USAGE:
        return Ended(code, path)
    records = tuple(load(path))
    if code in (INTERRUPTED, TERMINATED):
        doing_path(path).unlink(missing_ok=True)  # the case is not at fault and may be retried
    return Ended(code or _code_of(records), path, records, cut_short=code not in (Exit.FINE, Exit.TIMEOUT))


def on_these_ranks(request: SweepRequest, launcher: Launcher, child: Child | None) -> Ended:
    """Run one launch on the ranks of a launcher; ``child`` where collbench started them. Collective."""
    from mpi4py import MPI

    from collbench.measure import launch

    comm = MPI.COMM_WORLD
    check_world(launcher, comm.Get_size())
    if request.sweep.launches > 1 and not request.resume:
        raise UsageError(
            f"{launcher.name} starts one launch, not --launches {request.sweep.launches}; run this command "
            f"{request.sweep.launches} times with --resume and the same -o, or omit the launcher so that collbench "
            "starts the ranks."
        )
    request = replace(request, path=comm.bcast(request.path))
    terminal = sys.stderr.isatty() or (child is not None and child.on_terminal)
    with Progress(comm.Get_rank() == 0 and terminal) as progress:
        launch.run(request, progress)
    if child:
        return Ended(Exit.FINE, request.path)  # the parent process reads the rows and reports
    return _judged(request.path)


def _judged(path: Path) -> Ended:
    """The outcome that rank 0 reads from the file; other ranks get its exit code and no rows. Collective."""
    from mpi4py import MPI

    records, error = None, None
    if MPI.COMM_WORLD.Get_rank() == 0:
        try:
            records = tuple(load(path))
        except UsageError as mistake:  # raised below, on all ranks
            error = mistake
    code, error = MPI.COMM_WORLD.bcast((_code_of(records or ()), error))
    if error is not None:
        raise error
    return Ended(code, path, records)


def _code_of(records: tuple[Record, ...]) -> Exit:
    """The exit code of the worst row."""
    return exit_of({record.status for record in records})
