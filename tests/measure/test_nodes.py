"""Several hosts connected by a network: nodes are found, answers are right, latencies are those of the network.

The hosts are namespaces on this machine, see lab/network.py. Few cores serve all ranks, so only lower bounds of
latencies are asserted, with room to spare for clocks that are aligned while others take the processor.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

import pytest
from lab.launch import SETTINGS, ranks_on
from lab.network import Link, Network, missing, network
from running import BROKEN, GUARD_SECONDS, PYTHONS, Mpi, Ran, statuses, wait_for_rows

from collbench.results.records import Record

MISSING = missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

PER_HOST = 2
SIZES = (4096, 65536)
QUICK = ("--mode", "isolated", "--samples", "4", "--warmup", "1", "-o", "r.csv")
SCHEDULES = ("--backend", "mpi-nvrar,mpi-ring")
WAYS = ("--backend", "mpi-nvrar,mpi-nvrar:between=two-shot,mpi-nvrar:between=halving,mpi-ring")


@dataclass(frozen=True)
class Job:
    """Where collbench runs: with which MPI, in which folder, on which hosts."""

    mpi: Mpi
    net: Network
    per_host: int = PER_HOST

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        command = ranks_on(self.net, self.per_host, self.mpi.name, PYTHONS[self.mpi.name].parent, arguments)
        variables = {**SETTINGS[self.mpi.name], **self.net.environment, **more}
        return subprocess.Popen(
            command, cwd=self.mpi.folder, env=self.mpi.environment(variables, under_launcher=True),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, **more: str) -> Ran:
        child = self.start(*arguments, **more)
        try:
            out, err = child.communicate(timeout=GUARD_SECONDS)
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
    nodes = (2, 3) if mpi.name == "mpich" else (3,)  # how nodes are found is what the libraries differ in
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


def test_a_latency_is_at_least_that_of_its_steps(mpich: Mpi) -> None:
    delay = 1000
    with network(4, Link(delay)) as net:
        ran = Job(mpich, net, per_host=1).run("sweep", *WAYS, "--sizes", "4K", *QUICK)
    assert ran.code == 0, ran.err
    assert latency(mpich.rows(), "mpi-nvrar", 4) > 1.7 * delay, "log2 4 steps between nodes"
    assert latency(mpich.rows(), "mpi-nvrar:between=halving", 4) > 3.4 * delay, "2 log2 4 steps"
    assert latency(mpich.rows(), "mpi-nvrar:between=two-shot", 4) > 1.7 * delay, "2 steps"
    assert latency(mpich.rows(), "mpi-ring", 4) > 5 * delay, "2 (4 - 1) steps between nodes"


def test_a_latency_is_at_least_that_of_its_bytes(mpich: Mpi) -> None:
    size, rate = 256 << 10, 200
    with network(3, Link(200, rate)) as net:
        ran = Job(mpich, net, per_host=1).run("sweep", *SCHEDULES, "--sizes", str(size), *QUICK)
    assert ran.code == 0, ran.err
    whole_us = size * 8 / rate
    assert latency(mpich.rows(), "mpi-nvrar", 3) > 2.5 * whole_us, "into, across and out of the odd node"
    assert latency(mpich.rows(), "mpi-ring", 3) > 1.1 * whole_us, "4/3 of the message leave each node"


def test_a_rank_that_hangs_on_another_host_is_named(mpi: Mpi) -> None:
    with network(2, Link(300)) as net:
        child = Job(mpi, net, per_host=1).start(
            "sweep", "--sizes", "4K", "--backend", "call-hangs", "--timeout", "6", *QUICK, PYTHONPATH=str(BROKEN)
        )
        _, err = child.communicate(timeout=GUARD_SECONDS)
    assert child.returncode == 5, err
    assert [row.status for row in mpi.rows()] == ["timeout"], err
    (row,) = mpi.rows()
    assert re.search(r"rank 0 on node1 in reduce .*; rank 1 on node2 in <lambda> \(misbehaving\.py", row.reason)


def test_a_cut_link_is_a_row_and_exit_5(mpich: Mpi) -> None:  # Open MPI's mpiexec waits for its daemons beyond the cut
    with network(2, Link(300)) as net:
        arguments = ("--sizes", "4K:4M:+4K", "--backend", "mpi-nvrar", "--timeout", "6")  # a thousand cases
        child = Job(mpich, net).start("sweep", *arguments, "-o", "r.csv")
        try:
            wait_for_rows(mpich.folder / "r.csv", 1)
            net.cut()
            _, err = child.communicate(timeout=GUARD_SECONDS)
        finally:
            child.kill()
    assert child.returncode == 5, err
    *before, last = mpich.rows()
    assert statuses(before) == {"ok"}
    assert (last.status, last.nodes) == ("timeout", 2)
    assert "no progress for 6 s while proving: mpi-nvrar" in last.reason or "while timing" in last.reason


# ---- Pairs of hosts ----


def test_every_pair_of_hosts_has_its_rows_and_a_resume_has_nothing_left(mpich: Mpi) -> None:
    words = ("sweep", "--pairs", "--sizes", "4K,64K", *QUICK)
    with network(3, Link(0)) as net:
        job = Job(mpich, net)
        planned = Job(mpich, net, 1).run(*words, "--dry-run")
        ran = job.run(*words)
        again = job.run(*words, "--resume")
    assert planned.code == 0, planned.err
    assert planned.out.count("6 cases to run, 0 skipped, on 3 ranks, one after another on 3 pairs of hosts") == 1
    assert (ran.code, again.code) == (0, 0), ran.err
    rows = mpich.rows()
    pairs = {"node1+node2", "node1+node3", "node2+node3"}
    assert sorted((row.pair, row.bytes) for row in rows) == sorted((pair, size) for pair in pairs for size in SIZES)
    assert {(row.collective, row.backend, row.status, row.wrong) for row in rows} == {("send_recv", "mpi", "ok", 0)}
    assert {(row.ranks, row.nodes, row.gpus_per_node, row.fabric) for row in rows} == {(4, 2, 2, "tcp")}
    assert all(row.slowest_host in ("", *row.pair.split("+")) for row in rows)


def test_a_pair_without_rank_0_that_hangs_has_a_row_that_names_it(mpich: Mpi) -> None:
    words = ("sweep", "--pairs", "--collective", "all_reduce", "--backend", "hangs", "--sizes", "8K", "--timeout", "4")
    with network(3, Link(0)) as net:
        for _ in range(3):  # each pair ends the job, and does not keep the next from its turn
            ran = Job(mpich, net, 1).run(*words, *QUICK, "--resume", PYTHONPATH=str(BROKEN))
            assert ran.code == 5, ran.err
    rows = {row.pair: row for row in mpich.rows()}
    assert rows.keys() == {"node1+node2", "node1+node3", "node2+node3"}
    assert {row.status for row in rows.values()} == {"timeout"}
    assert "no progress for 4 s while proving: hangs" in rows["node2+node3"].reason
    assert "rank 1 on node2 in " in rows["node2+node3"].reason
