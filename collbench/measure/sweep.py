"""A sweep on ranks that collbench starts, launch after launch, or on those of a launcher."""

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
    """How a sweep ended: its exit code, and the rows of its file, None on ranks that leave the report to another.
    ``cut_short``: the ranks ended before all cases had a row."""

    code: int
    path: Path
    records: tuple[Record, ...] | None = None
    cut_short: bool = False


def on_own_ranks(request: SweepRequest, ranks: int) -> Ended:
    """Start that many ranks on this machine, once a launch, all into one file."""
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
        doing_path(path).unlink(missing_ok=True)  # not the case's fault: it may be tried again
    return Ended(code or _code_of(records), path, records, cut_short=code not in (Exit.FINE, Exit.TIMEOUT))


def on_these_ranks(request: SweepRequest, launcher: Launcher, child: Child | None) -> Ended:
    """Run one launch on the ranks of a launcher; ``child`` where that was collbench itself. Collective."""
    from mpi4py import MPI

    from collbench.measure import launch

    comm = MPI.COMM_WORLD
    check_world(launcher, comm.Get_size())
    if request.sweep.launches > 1 and not request.resume:
        raise UsageError(
            f"{launcher.name} starts one launch, and --launches {request.sweep.launches} asks for more: run this "
            "command that many times with --resume and one -o, or omit the launcher and collbench starts the ranks "
            "itself."
        )
    request = replace(request, path=comm.bcast(request.path))
    terminal = sys.stderr.isatty() or (child is not None and child.on_terminal)
    with Progress(comm.Get_rank() == 0 and terminal) as progress:
        launch.run(request, progress)
    if child:
        return Ended(Exit.FINE, request.path)  # the process that started the ranks reads the rows and judges
    return _judged(request.path)


def _judged(path: Path) -> Ended:
    """The end of a sweep as rank 0 reads it from the file; its code on all ranks. Collective."""
    from mpi4py import MPI

    records, error = None, None
    if MPI.COMM_WORLD.Get_rank() == 0:
        try:
            records = tuple(load(path))
        except UsageError as mistake:  # raised on all ranks: the others wait for the code
            error = mistake
    code, error = MPI.COMM_WORLD.bcast((_code_of(records or ()), error))
    if error is not None:
        raise error
    return Ended(code, path, records)


def _code_of(records: tuple[Record, ...]) -> Exit:
    """The exit code that the worst row deserves."""
    return exit_of({record.status for record in records})
