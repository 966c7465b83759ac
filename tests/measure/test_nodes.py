"""Several hosts that a network lies between: nodes are found, answers are right, latencies are those of the network.

The hosts are namespaces on this machine, see lab/network.py. Few cores serve all ranks, so only lower bounds and ratios
are asserted, with room to spare (also for clocks that are aligned while others take the processor).
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab.launch import SETTINGS, ranks_on
from lab.network import Link, Network, missing, network
from running import PYTHONS, Mpi, Ran, statuses

from collbench.results.records import Record

MISSING = missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

PER_HOST = 2
QUICK = ("--mode", "isolated", "--samples", "4", "--warmup", "1", "-o", "r.csv")
SCHEDULES = ("--backend", "mpi-nvrar,mpi-ring")


@dataclass(frozen=True)
class Job:
    """Where collbench runs: with which MPI, in which folder, on which hosts."""

    mpi: Mpi
    net: Network

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = ranks_on(self.net, PER_HOST, self.mpi.name, PYTHONS[self.mpi.name].parent, arguments)
        variables = {**SETTINGS[self.mpi.name], **self.net.environment}
        return subprocess.Popen(
            command, cwd=self.mpi.folder, env=self.mpi.environment(variables, under_launcher=True),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> Ran:
        child = self.start(*arguments)
        try:
            out, err = child.communicate(timeout=90)
        finally:
            child.kill()
        return Ran(child.returncode, out, err)


def latency(rows: list[Record], backend: str, nodes: int) -> float:
    """Microseconds: the best sample, which other programs on this machine disturbed the least."""
    (row,) = (row for row in rows if (row.backend, row.nodes) == (backend, nodes))
    assert row.latency_us_min is not None
    return row.latency_us_min


# ---- Collectives over it ----


def test_nodes_are_found_and_answers_are_right(mpi: Mpi) -> None:
    nodes = (2, 4) if mpi.name == "mpich" else (3,)  # how nodes are found is what the libraries differ in
    with network(max(nodes), Link(delay_us=200)) as net:
        worlds = ",".join(map(str, nodes))
        ran = Job(mpi, net).run(
            "sweep", "--backend", "mpi,mpi-nvrar", "--nodes", worlds, "--sizes", "1000", "--dtype", "bfloat16", *QUICK
        )
    assert ran.code == 0, ran.err
    rows = mpi.rows()
    assert statuses(rows) == {"ok"}
    assert sorted((row.nodes, row.ranks, row.gpus_per_node, row.fabric, row.backend) for row in rows) == [
        (count, count * PER_HOST, PER_HOST, "tcp", name) for count in nodes for name in ("mpi", "mpi-nvrar")
    ]
    assert f"{max(nodes) * PER_HOST} ranks on {max(nodes)} nodes (tcp)" in ran.out


def test_few_steps_beat_many_where_the_delay_counts(mpich: Mpi) -> None:
    delay = 1000
    with network(4, Link(delay)) as net:
        ran = Job(mpich, net).run("sweep", *SCHEDULES, "--sizes", "4K", *QUICK)
    assert ran.code == 0, ran.err
    doubling, ring = (latency(mpich.rows(), name, 4) for name in ("mpi-nvrar", "mpi-ring"))
    assert doubling > 1.7 * delay, "log2 4 steps between nodes"
    assert ring > 6 * delay, "2 (8 - 1) steps, every other one between nodes"
    assert ring > 1.5 * doubling


def test_few_bytes_beat_few_steps_where_the_rate_counts(mpich: Mpi) -> None:
    size, rate = 256 << 10, 200
    with network(3, Link(200, rate)) as net:
        ran = Job(mpich, net).run("sweep", *SCHEDULES, "--sizes", str(size), *QUICK)
    assert ran.code == 0, ran.err
    doubling, ring = (latency(mpich.rows(), name, 3) for name in ("mpi-nvrar", "mpi-ring"))
    whole_us = size * 8 / rate
    assert doubling > 2.5 * whole_us, "in, across and out of the node beyond the power of two"
    assert 1.4 * whole_us < ring < 0.85 * doubling, "5/3 of the message leave each node"


def test_a_cut_link_is_a_row_and_exit_5(mpich: Mpi) -> None:  # Open MPI's mpiexec waits for its daemons beyond the cut
    with network(2, Link(300)) as net:
        arguments = ("--sizes", "4K:64K", "--backend", "mpi-nvrar", "--max-seconds", "1", "--timeout", "3")
        child = Job(mpich, net).start("sweep", *arguments, "-o", "r.csv")
        try:
            _until_rows(mpich.folder / "r.csv", 1)
            net.cut()
            began = time.monotonic()
            _, err = child.communicate(timeout=40)
        finally:
            child.kill()
    assert child.returncode == 5, err
    assert time.monotonic() - began < 20
    *before, last = mpich.rows()
    assert statuses(before) == {"ok"}
    assert (last.status, last.nodes) == ("timeout", 2)
    assert "made no progress for 3 s while" in last.reason


def _until_rows(path: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text().count("\n") > count):
        assert time.monotonic() < deadline, f"{path} never had {count} rows"
        time.sleep(0.05)
