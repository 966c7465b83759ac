"""The command ``sweep``: fill in defaults, find or start ranks, run, report, and say how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import click

from collbench.cli.params import Given, sizes_of
from collbench.errors import INTERRUPTED, Exit, UsageError, exit_of
from collbench.measure import preview
from collbench.measure.progress import progress
from collbench.plan.sweep import Contest, Sweep, parse_contests
from collbench.plan.worlds import Topology, layouts_for
from collbench.ranks import launcher
from collbench.ranks.start import CHILD, ON_TERMINAL, launch_ranks, ranks_to_start
from collbench.registry import default_backends, default_dtypes
from collbench.results.files import ResultFile, default_path, doing_path
from collbench.results.records import Record, load
from collbench.views import summary

TERMINATED = 143  # 128 + SIGTERM


class Worlds(Protocol):
    """The options that say on which ranks."""

    @property
    def ranks(self) -> tuple[int, ...]: ...
    @property
    def gpus(self) -> tuple[int, ...]: ...
    @property
    def nodes(self) -> tuple[int, ...]: ...
    @property
    def layout(self) -> tuple[tuple[int, int], ...]: ...


def sweep_of(given: Given) -> Sweep:
    """The sweep that the options ask for."""
    contests = read_contests(given.contests) if given.contests else ()
    competing = tuple(dict.fromkeys(name for contest in contests for name in contest.backends))
    names = competing or given.backend or default_backends()
    return Sweep(
        collectives=given.collective,
        backends=names,
        sizes=sizes_of(given),
        dtypes=given.dtype or default_dtypes(names),
        ops=given.op,
        modes=given.mode,
        caches=given.cache,
        in_place=(given.in_place,),
        warmup=given.warmup,
        samples=given.samples,
        max_seconds=given.max_seconds,
        launches=given.launches,
        seed=given.seed,
        timeout=given.timeout,
        verify=given.verify,
        phases=given.phases,
        contests=contests,
    )


def read_contests(path: Path) -> tuple[Contest, ...]:
    """Who is timed on what, from the file that ``tune`` wrote."""
    try:
        return parse_contests(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} does not say who is timed on what: {error}; `collbench tune` writes it.") from None


def topology_of(given: Worlds) -> Topology:
    """The worlds that the options ask for."""
    if given.gpus and given.ranks:
        raise UsageError("--gpus and --ranks say the same thing twice; give one of them.")
    if given.layout and given.nodes:
        raise UsageError("--layout and --nodes contradict each other; give one of them.")
    return Topology(given.ranks or given.gpus, given.nodes, given.layout)


def run(given: Given, argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    if given.resume and given.output is None:
        raise UsageError("--resume goes on with a results file; name it with -o.")
    sweep, topology = sweep_of(given), topology_of(given)
    launch = launcher.detect(os.environ)
    if given.dry_run:
        ranks = (launch.size if launch else None) or ranks_to_start(topology, bool(given.gpus))
        click.echo(preview.show(sweep, topology, ranks, given.as_json))
        return Exit.FINE
    if launch is None:
        return start_ranks(given, sweep, topology, argv)
    return run_here(given, sweep, topology, argv, launch)


def start_ranks(given: Given, sweep: Sweep, topology: Topology, argv: Sequence[str]) -> int:
    """Start ranks of our own, once a launch, all into one file; then report."""
    ranks = ranks_to_start(topology, bool(given.gpus))
    layouts_for(topology, ["here"] * ranks)
    launcher.find_mpiexec()
    path = given.output or default_path(ranks)
    if not (given.resume and path.exists()):
        ResultFile.create(path, given.force)
    arguments = [word for word in argv if word not in ("--force", "--json")]
    if given.output is None:
        arguments += ["-o", str(path)]
    if not given.resume:
        arguments.append("--resume")
    code = launch_ranks(ranks, arguments, sweep.launches)
    if code == Exit.USAGE:
        return code
    records = load(path)
    tell(given, records, path)
    if code in (INTERRUPTED, TERMINATED):
        doing_path(path).unlink(missing_ok=True)  # not the case's fault: it may be tried again
    if code and code != Exit.TIMEOUT:
        click.echo(f"The ranks ended early (code {code}); --resume -o {path} goes on.", err=True)
    return code or exit_code(records)


def run_here(given: Given, sweep: Sweep, topology: Topology, argv: Sequence[str], launch: launcher.Launch) -> int:
    """Run one launch on the ranks that a launcher started."""
    from mpi4py import MPI

    from collbench.measure.launch import Order, run

    launcher.check_world(launch, MPI.COMM_WORLD.Get_size())
    if sweep.launches > 1 and not given.resume:
        raise UsageError(
            f"{launch.name} starts one launch, and --launches {sweep.launches} asks for more: run this command that "
            "many times with --resume and one -o, or leave the launcher away and collbench starts the ranks itself."
        )
    path = given.output or default_path(MPI.COMM_WORLD.Get_size())
    path = MPI.COMM_WORLD.bcast(path)
    order = Order(sweep, topology, path, given.resume, given.force, tuple(argv))
    child = os.environ.get(CHILD)
    with progress(MPI.COMM_WORLD.Get_rank() == 0 and (child == ON_TERMINAL or sys.stderr.isatty())) as step:
        run(order, step)
    if child:
        return Exit.FINE  # whoever started us reads the rows and judges
    return int(MPI.COMM_WORLD.bcast(_report(given, path) if MPI.COMM_WORLD.Get_rank() == 0 else None))


def _report(given: Given, path: Path) -> int:
    """Rows and exit code, on one rank: a mistake here must not leave the others waiting for the code."""
    try:
        records = load(path)
    except UsageError as mistake:
        click.echo(f"collbench: {mistake}", err=True)
        return Exit.USAGE
    tell(given, records, path)
    return exit_code(records)


def tell(given: Given, records: Sequence[Record], path: Path) -> None:
    """The rows on stdout, where they are kept on stderr."""
    click.echo(summary.as_json(records) if given.as_json else summary.results(records))
    click.echo(f"\n{len(records)} rows in {path}", err=True)


def exit_code(records: Iterable[Record]) -> Exit:
    """The worst of what became of them."""
    return exit_of({record.status for record in records})
