"""The command ``verify``: fill in defaults, find or start ranks, tell all stories, say what became of them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from collbench.cli.verify import VerifyGiven
from collbench.errors import Exit
from collbench.measure.sweep import topology_of
from collbench.plan.worlds import Topology, layouts_for
from collbench.ranks import launcher
from collbench.ranks.start import CHILD, launch_ranks, ranks_to_start
from collbench.registry import default_backends, default_dtypes
from collbench.verify.outcomes import Outcome, append, exit_code, report
from collbench.verify.stories import STORIES
from collbench.verify.subjects import Order

OUTCOMES = "COLLBENCH_OUTCOMES"  # the file into which ranks that we started write what becomes of every story


def order_of(given: VerifyGiven, topology: Topology) -> Order:
    """What the options ask for."""
    names = given.backend or default_backends()
    return Order(
        topology=topology,
        backends=names,
        collectives=given.collective,
        dtypes=given.dtype or default_dtypes(names),
        ops=given.op,
        sizes=given.sizes,
        stories=given.story or tuple(STORIES),
        rounds=given.rounds,
        seed=given.seed,
        timeout=given.timeout,
    )


def run(given: VerifyGiven, argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    topology = topology_of(given)
    if given.emulate:
        from collbench.verify import emulated

        return emulated.run(given, topology)
    launch = launcher.detect(os.environ)
    if launch is None:
        return start_ranks(given, topology, argv)
    return run_here(given, order_of(given, topology), launch)


def start_ranks(given: VerifyGiven, topology: Topology, argv: Sequence[str]) -> int:
    """Run on ranks of our own, and report what they found, also where they ended early."""
    ranks = ranks_to_start(topology, bool(given.gpus))
    layouts_for(topology, ["here"] * ranks)
    launcher.find_mpiexec()
    with tempfile.TemporaryDirectory(prefix="collbench-") as folder:
        path = Path(folder) / "outcomes.jsonl"
        path.touch()
        os.environ[OUTCOMES] = str(path)
        code = launch_ranks(ranks, argv, 1)
        found = [Outcome(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if code == Exit.USAGE:
        return code
    report(found, given.as_json)
    if code and code != Exit.TIMEOUT:
        click.echo(f"The ranks ended early (code {code}).", err=True)
    return code or exit_code(found)


def run_here(given: VerifyGiven, order: Order, launch: launcher.Launch) -> int:
    """Run on the ranks that a launcher started."""
    from mpi4py import MPI

    from collbench.verify import launch as prover

    launcher.check_world(launch, MPI.COMM_WORLD.Get_size())
    if CHILD in os.environ:
        prover.run(order, lambda one: append(Path(os.environ[OUTCOMES]), one))
        return Exit.FINE  # whoever started us reads the outcomes and judges
    found: list[Outcome] = []

    def emit(one: Outcome) -> None:
        found.append(one)
        if one.status == "timeout":  # the last one: the job is about to end
            report(found, given.as_json)

    prover.run(order, emit)
    if MPI.COMM_WORLD.Get_rank() == 0:
        report(found, given.as_json)
    return int(MPI.COMM_WORLD.bcast(exit_code(found)))
