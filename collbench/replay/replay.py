"""Runs a replay, on ranks that collbench starts for each launch or on those of a launcher."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from collbench.errors import CANNOT_WRITE, Exit, UsageError, exit_of
from collbench.host.load import crowding
from collbench.ranks.endings import cause
from collbench.ranks.launcher import Launcher, check_world
from collbench.ranks.library import load_mpi
from collbench.ranks.mpiexec import find_mpiexec
from collbench.ranks.start import Child, launch_ranks
from collbench.replay.checks import check_gpus, check_launch
from collbench.replay.request import ReplayRequest
from collbench.results import lock
from collbench.results.files import check_name, sidecar_path
from collbench.results.replays import ReplayRecord, dump, load
from collbench.results.writing import replace_text

if TYPE_CHECKING:
    from mpi4py import MPI

Say = Callable[[str], object]


@dataclass(frozen=True)
class Ended:
    """The outcome of a replay: its exit code, and all rows of its file, also those of earlier launches that it adds to,
    None on ranks that do not report. ``why``: a sentence if the ranks of a launch ended early."""

    code: int
    path: Path
    records: tuple[ReplayRecord, ...] | None = None
    why: str = ""


def on_own_ranks(request: ReplayRequest, say: Say) -> Ended:
    """Start ranks on this machine for each launch, all of which append to one file; stop after one that ends early."""
    check_gpus(request)
    find_mpiexec()
    held = lock.take(request.path, (lock.COMMAND,))
    try:
        before = _open_file(request)
        if words := crowding(request.ranks):
            print(f"collbench: {words}.", file=sys.stderr)
        code = 0
        for number in range(request.launches):
            code = launch_ranks(request.ranks, _arguments(request))
            if code:
                break
            say(f"launch {number + 1} of {request.launches} is done.")
        return _ended(request, code, before)
    finally:
        held.release(remove_file=True)


def _arguments(request: ReplayRequest) -> list[str]:
    """The arguments of the ranks, which have only a launch to add."""
    forms = ("--force", "--resume", "--json", "--markdown", "--latex", "--quiet")
    words = [word for word in request.argv if word not in forms]
    return [*words[:2], "-o", str(request.path), "--resume", *words[2:]]


def _open_file(request: ReplayRequest) -> int:
    """Create the results file, or check one that is continued; returns the number of its rows. Raises UsageError."""
    path = request.path
    check_name(path)
    if path.exists() and request.resume:
        return len(load(path))
    if path.exists() and not request.force:
        raise UsageError(f"{path} exists; give another -o, --resume to add launches to it, or --force to replace it.")
    sidecar_path(path).unlink(missing_ok=True)
    replace_text(path, dump(()))
    return 0


def _ended(request: ReplayRequest, code: int, before: int) -> Ended:
    if code == Exit.USAGE:
        return Ended(code, request.path)
    records = tuple(load(request.path))
    if code == CANNOT_WRITE:
        return Ended(Exit.FAILED, request.path, records, "The results could not be written.")
    return Ended(code or _code(records[before:]), request.path, records, cause(code) if code else "")


def _code(records: Sequence[ReplayRecord]) -> Exit:
    return exit_of({record.status for record in records})


def on_these_ranks(request: ReplayRequest, launcher: Launcher, child: Child | None) -> Ended:
    """Run one launch on the ranks of a launcher; ``child`` where collbench started them. Collective."""
    load_mpi(own_rank=child is not None)
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    check_world(launcher, comm.Get_size())
    check_launch(request, comm)
    if child:
        from collbench.replay import launch

        launch.run(request, child)
        return Ended(Exit.FINE, request.path)  # the parent process reads the rows and reports
    if request.launches > 1:
        raise UsageError(
            f"{launcher.name} starts one launch, not {request.launches}; run this command once for each, the later "
            "ones with --resume and the same -o, or omit the launcher so that collbench starts the ranks."
        )
    return _on_launcher(request, comm)


def _on_launcher(request: ReplayRequest, comm: MPI.Intracomm) -> Ended:
    """Run one launch and judge it; every rank gets its exit code, rank 0 its rows too."""
    from collbench.replay import launch

    request = replace(request, path=comm.bcast(request.path))
    before, error = 0, None
    with ExitStack() as held:
        if comm.Get_rank() == 0:
            try:
                held.callback(lock.take(request.path, (lock.COMMAND, lock.RANKS)).release, remove_file=True)
                before = _open_file(request)
            except UsageError as mistake:  # raised below, on all ranks
                error = mistake
        error = comm.bcast(error)
        if error is not None:
            raise error
        launch.run(request, None)
        records = tuple(load(request.path)) if comm.Get_rank() == 0 else None
    code = comm.bcast(_code(records[before:]) if records is not None else None)
    return Ended(code, request.path, records)
