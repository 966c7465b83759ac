"""Run ``verify`` on ranks that collbench starts, or on the ranks of a launcher."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from collbench.errors import Exit
from collbench.host.streams import stdout_to_stderr
from collbench.ranks.launcher import Launcher, check_world
from collbench.ranks.library import load_mpi
from collbench.ranks.mpiexec import find_mpiexec
from collbench.ranks.start import launch_ranks
from collbench.verify.outcomes import Outcome, append, exit_code, load
from collbench.verify.subjects import VerifyRequest

OUTCOMES = "COLLBENCH_OUTCOMES"  # the file to which ranks started by collbench append their outcomes


@dataclass(frozen=True)
class Proven:
    """The result: the exit code, and the outcomes (None on ranks that do not report). ``cut_short``: the ranks ended
    before all stories had run."""

    code: int
    outcomes: tuple[Outcome, ...] | None = None
    cut_short: bool = False


def on_own_ranks(ranks: int, argv: Sequence[str]) -> Proven:
    """Run this command (``argv``) on ``ranks`` new ranks of this machine, and collect their outcomes."""
    find_mpiexec()
    with tempfile.TemporaryDirectory(prefix="collbench-") as folder:
        path = Path(folder) / "outcomes.jsonl"
        path.touch()
        code = launch_ranks(ranks, argv, {OUTCOMES: str(path)})
        found = tuple(load(path))
    if code == Exit.USAGE:
        return Proven(code)
    return Proven(code or exit_code(found), found, cut_short=code not in (Exit.FINE, Exit.TIMEOUT))


def on_these_ranks(
    request: VerifyRequest,
    launcher: Launcher,
    into: Path | None,
    at_end: Callable[[Sequence[Outcome], TextIO], None],
) -> Proven:
    """Run on the ranks of a launcher; collective.

    ``into``: if collbench started the ranks, the file from which it reads the outcomes. Otherwise ``at_end`` is called
    with the outcomes so far and standard output before a backend ends the job.
    """
    load_mpi()
    from mpi4py import MPI

    from collbench.verify import launch

    comm = MPI.COMM_WORLD
    check_world(launcher, comm.Get_size())
    found: list[Outcome] = []

    def emit(one: Outcome) -> None:
        found.append(one)
        if into is not None:
            append(into, one)

    def report() -> None:
        if into is None:
            at_end(found, product)

    with stdout_to_stderr() as product:
        launch.run(request, emit, report)
    if into is not None:
        return Proven(Exit.FINE)  # the process that started the ranks reads the outcomes and sets the exit code
    code = int(comm.bcast(exit_code(found)))
    return Proven(code, tuple(found) if comm.Get_rank() == 0 else None)
