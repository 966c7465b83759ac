"""The network itself: delay, rate and faults under TCP, namespaces that leave nothing behind, and the launch agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from running import GUARD_SECONDS

from lab.launch import on_host
from lab.network import Faults, Link, Network, missing, network

MISSING = missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
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


def run_on(net: Network, address: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        on_host(address, *words), env={**os.environ, **net.environment}, capture_output=True, text=True,
        timeout=GUARD_SECONDS, check=False,
    )  # fmt: skip


def talk(net: Network) -> tuple[list[float], float]:
    """Between the first two hosts: seconds of 20 round trips of a byte, and of 1 MiB to the second and a byte back."""
    first, second = list(net.hosts)[:2]
    server = subprocess.Popen(
        on_host(second, sys.executable, "-c", SERVER), env={**os.environ, **net.environment}, text=True
    )
    reported = run_on(net, first, sys.executable, "-c", CLIENT, second)
    assert server.wait(GUARD_SECONDS) == 0, reported.stderr
    *round_trips, transfer = map(float, reported.stdout.split())
    return round_trips, transfer


def test_tcp_takes_the_delay_and_the_time_of_its_bytes_which_are_counted() -> None:
    with network(2, Link(delay_us=2000, rate_mbit=100)) as net:
        round_trips, transfer = talk(net)
        there, back = (net.switch.counts()[pair] for pair in ((1, 2), (2, 1)))
    assert min(round_trips) >= 4e-3
    assert transfer >= (1 << 20) * 8 / 100e6
    segments = (1 << 20) // 1448
    assert segments <= there.packets < 1.2 * segments
    assert (1 << 20) + segments * 66 <= there.bytes < 1.2 * (1 << 20), "Ethernet, IP and TCP with its time stamps: 66 B"
    assert 40 <= back.packets < there.packets
    assert there.frames < there.packets, "TCP hands over more than a packet at once"


def test_tcp_brings_everything_where_frames_are_lost_and_overtake_others() -> None:
    with network(2, Link(delay_us=100)) as net:
        net.switch.set_faults(Faults(drop=0.01, overtake=0.2, overtake_us=300, stall=0.1, stall_us=300))
        talk(net)
        there = net.switch.counts()[1, 2]
    assert there.overtaken > 0
    assert there.stalled > 0


def test_networks_do_not_meet_and_leave_nothing_behind() -> None:
    with network(2, Link(0)) as one, network(1, Link(0)) as other:
        names = [run_on(one, address, "hostname").stdout.strip() for address in one.hosts]
        assert names == ["node1", "node2"]
        assert run_on(other, "10.77.0.1", "hostname").stdout.strip() == "node1"
        left = subprocess.Popen(on_host("10.77.0.2", "sleep", "600"), env={**os.environ, **one.environment})
        holders = [*one.hosts.values(), *other.hosts.values()]
        inside = {os.readlink(f"/proc/{process}/ns/net") for process in holders}
        assert len(inside) == 3
        assert os.readlink("/proc/self/ns/net") not in inside
        _until_inside(left.pid, inside)
    assert left.wait(GUARD_SECONDS) != 0
    assert not any(Path(f"/proc/{process}").exists() for process in holders)


def _until_inside(process: int, namespaces: set[str]) -> None:
    deadline = time.monotonic() + GUARD_SECONDS
    while os.readlink(f"/proc/{process}/ns/net") not in namespaces:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_programs_end_with_whoever_has_made_their_hosts(tmp_path: Path, number: signal.Signals) -> None:
    program = """
import os, subprocess, sys
from lab.launch import on_host
from lab.network import Link, network
with network(1, Link(0)) as net:
    stays = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    words = on_host("10.77.0.1", sys.executable, "-c", stays)
    left = subprocess.Popen(words, env={**os.environ, **net.environment})
    print(left.pid, *net.hosts.values(), flush=True)
    sys.stdin.read()
"""
    maker = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert maker.stdin is not None
    assert maker.stdout is not None
    left, holder = map(int, maker.stdout.readline().split())
    _until_inside(left, {os.readlink(f"/proc/{holder}/ns/net")})
    keeper = int(Path(f"/proc/{holder}/stat").read_text().rsplit(")", 1)[1].split()[1])
    maker.send_signal(number)
    while number == signal.SIGTERM and _runs(keeper):  # where a whole group is signalled, it is so more than once
        with suppress(ProcessLookupError):
            os.kill(keeper, number)
    maker.communicate()
    deadline = time.monotonic() + GUARD_SECONDS
    while _runs(left) or _runs(holder):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(process: int) -> bool:
    """Whether it has not ended; it may wait for a parent to ask how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


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
