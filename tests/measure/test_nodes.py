"""Several hosts that a network lies between: nodes are found, answers are right, latencies are those of the network.

The hosts are namespaces on this machine, see lab/network.py. Few cores serve all ranks, so only lower bounds and ratios
are asserted, with room to spare (also for clocks that are aligned while others take the processor).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest
from lab.launch import SETTINGS, on_host, ranks_on
from lab.network import Link, Network, missing, network
from running import PYTHONS, Mpi, Ran, statuses

from collbench.results.records import Record

MISSING = missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

PER_HOST = 2
QUICK = ("--mode", "isolated", "--samples", "4", "--warmup", "1", "-o", "r.csv")
SCHEDULES = ("--backend", "mpi-nvrar,mpi-ring")
SERVER = """
import socket
with socket.create_server(("0.0.0.0", 7000)) as server:
    line, _ = server.accept()
    while line.recv(1):
        line.send(b".")
    line, _ = server.accept()
    while line.recv(1 << 20):
        pass
    line.send(b".")
"""
CLIENT = """
import socket, sys, time
def connect():
    while True:
        try:
            return socket.create_connection((sys.argv[1], 7000))
        except ConnectionRefusedError:
            time.sleep(0.01)
line = connect()
for _ in range(20):
    begin = time.perf_counter()
    line.send(b".")
    line.recv(1)
    print(time.perf_counter() - begin)
line.close()
line = connect()
begin = time.perf_counter()
line.sendall(bytes(1 << 20))
line.shutdown(socket.SHUT_WR)
line.recv(1)
print(time.perf_counter() - begin)
"""


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


def run_on(net: Network, address: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        on_host(address, *words), env={**os.environ, **net.environment}, capture_output=True, text=True, timeout=20,
        check=False,
    )  # fmt: skip


# ---- The network itself ----


def test_a_frame_takes_the_delay_and_its_time_at_the_rate() -> None:
    with network(2, Link(delay_us=2000, rate_mbit=100)) as net:
        first, second = net.hosts
        server = subprocess.Popen(
            on_host(second, sys.executable, "-c", SERVER), env={**os.environ, **net.environment}, text=True
        )
        told = run_on(net, first, sys.executable, "-c", CLIENT, second)
        assert server.wait(5) == 0, told.stderr
    *round_trips, transfer = map(float, told.stdout.split())
    assert 4e-3 <= median(round_trips) < 8e-3
    assert (1 << 20) * 8 / 100e6 <= transfer < 0.2


def test_networks_do_not_meet_and_leave_nothing_behind() -> None:
    with network(2, Link(0)) as one, network(1, Link(0)) as other:
        names = [run_on(one, address, "hostname").stdout.strip() for address in one.hosts]
        assert names == ["node1", "node2"]
        assert run_on(other, "10.77.0.1", "hostname").stdout.strip() == "node1"
        left = subprocess.Popen(on_host("10.77.0.2", "sleep", "60"), env={**os.environ, **one.environment})
        holders = [*one.hosts.values(), *other.hosts.values()]
        inside = {os.readlink(f"/proc/{process}/ns/net") for process in holders}
        assert len(inside) == 3
        assert os.readlink("/proc/self/ns/net") not in inside
        _until_inside(left.pid, inside)
    assert left.wait(5) != 0
    assert not any(Path(f"/proc/{process}").exists() for process in holders)


def _until_inside(process: int, namespaces: set[str]) -> None:
    deadline = time.monotonic() + 5
    while os.readlink(f"/proc/{process}/ns/net") not in namespaces:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_launch_agent_hands_on_every_word() -> None:
    with network(1, Link(0)) as net:
        words = ["a  b", "it's", '"$HOME"', "*", "new\nline", "", "-x"]
        done = run_on(net, "10.77.0.1", sys.executable, "-c", "import sys; print(sys.argv[1:])", *words)
        assert done.stdout.strip() == str(words)
        agent, _, _ = on_host("10.77.0.1")
        variables = {**os.environ, **net.environment}
        as_ssh = [agent, "-x", "-p", "22", "10.77.0.1", "echo", "two", "words;", "exit 7"]
        done = subprocess.run(as_ssh, env=variables, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (7, "two words\n")
        done = run_on(net, "10.77.0.9", "hostname")
        assert (done.returncode, done.stdout) == (255, "")
        assert "no host 10.77.0.9" in done.stderr


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
