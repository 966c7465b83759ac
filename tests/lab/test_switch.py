"""The switch alone, between sockets instead of network devices: what arrives, when at the earliest, and the counts.

Only lower bounds of times are asserted: the machine may be busy.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from running import GUARD_SECONDS

from collbench.kernels import host_compiler
from lab.hosts import hardware_address
from lab.switch import NOTHING, Faults, Link, Switch, Traffic, program

pytestmark = pytest.mark.skipif(host_compiler.compiler() is None, reason=str(host_compiler.missing()))

HOSTS = 3
ETHERNET, IPV4, TCP, VNET = 14, 20, 32, 10
BODY = ETHERNET + 4  # of the frames of these tests: a number follows the header


class Bench:
    """A switch, and the sockets of its hosts."""

    def __init__(self, switch: Switch, hosts: list[socket.socket]) -> None:
        self.switch, self.hosts = switch, hosts

    def send(self, source: int, target: int, number: int = 0, size: int = BODY) -> None:
        """A frame of ``size`` bytes (its virtio_net_hdr, which is not carried, comes on top)."""
        frame = hardware_address(target) + hardware_address(source) + b"\x08\x00" + struct.pack("I", number)
        self.hosts[source].send(bytes(VNET) + frame.ljust(size, b"\0"))

    def received(self, target: int, count: int) -> list[int]:
        """The numbers of the next frames."""
        frames = [self.hosts[target].recv(1 << 17) for _ in range(count)]
        return [struct.unpack_from("I", frame, VNET + ETHERNET)[0] for frame in frames]

    def until_counted(self, pair: tuple[int, int], count: int) -> Traffic:
        """The traffic of a pair, once that many frames of it were carried, dropped or overflowed."""
        deadline = time.monotonic() + GUARD_SECONDS
        while True:
            seen = self.switch.counts().get(pair, NOTHING)
            if seen.frames + seen.dropped + seen.overflowed >= count:
                return seen
            assert time.monotonic() < deadline


@contextmanager
def bench_with(folder: Path, spin: bool) -> Iterator[Bench]:
    ours, theirs = zip(*(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(HOSTS)), strict=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) as control:
        control.bind(str(folder / "switch"))
        control.listen()
        for cable in theirs:
            cable.setblocking(False)
        numbers = [control.fileno(), *(cable.fileno() for cable in theirs)]
        child = subprocess.Popen([program(), str(int(spin)), *map(str, numbers)], pass_fds=numbers)
    try:
        for cable in ours:
            cable.settimeout(GUARD_SECONDS)
        yield Bench(Switch(folder / "switch"), list(ours))
    finally:
        child.kill()
        child.wait()
        for cable in (*ours, *theirs):
            cable.close()


@pytest.fixture(params=[False, True], ids=["sleeps", "spins"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with bench_with(tmp_path, request.param) as made:
        yield made


def test_a_frame_takes_the_delay_and_the_time_of_the_bytes_before_it(bench: Bench) -> None:
    def seconds(*frames: tuple[int, int]) -> float:
        """From the first of these frames of 1000 bytes until all have come."""
        begin = time.perf_counter()
        for source, target in frames:
            bench.send(source, target, size=1000)
        for _, target in frames:
            bench.received(target, 1)
        return time.perf_counter() - begin

    bench.switch.set_link(Link(delay_us=20_000))
    assert seconds((0, 1)) >= 0.020
    bench.switch.set_link(Link(delay_us=5000, rate_mbit=0.8))  # 10 ms a frame
    assert seconds((0, 1), (0, 2)) >= 0.025, "one leaves its host after the other"
    assert seconds((0, 2), (1, 2)) >= 0.025, "one enters the host after the other"
    bench.switch.set_link(Link(delay_us=5000, rate_mbit=800, trunk_mbit=0.4))  # 20 ms a frame on the trunk
    assert seconds((0, 1), (1, 2), (2, 0)) >= 0.065, "one crosses the trunk after the other"


def test_hosts_do_not_wait_for_each_other(bench: Bench) -> None:
    bench.switch.set_link(Link(delay_us=0, rate_mbit=1e-5))  # 800 s a frame
    bench.send(0, 1, size=1000)
    bench.until_counted((1, 2), 1)
    bench.switch.set_link(Link(delay_us=0))
    for source, target in ((1, 2), (2, 0)):  # neither leaves the first host nor enters the second
        bench.send(source, target, size=1000)
        bench.received(target, 1)


def test_an_acknowledgement_does_not_wait_for_data_but_what_carries_data_or_ends_a_connection_does(
    bench: Bench,
) -> None:
    def segment(flags: int, data: int) -> bytes:
        ip = struct.pack(">BBHIBBHII", 0x45, 0, IPV4 + TCP + data, 0, 64, 6, 0, 0, 0)
        tcp = struct.pack(">HHIIBBHI", 1, 2, 3, 4, TCP // 4 << 4, flags, 5, 6).ljust(TCP, b"\0")
        return bytes(VNET) + hardware_address(1) + hardware_address(0) + b"\x08\x00" + ip + tcp + bytes(data)

    acknowledges, ends = 0x10, 0x11
    bench.switch.set_link(Link(delay_us=1000, rate_mbit=0.008))  # a minute for the first, 66 ms without data
    for flags, data in ((acknowledges, 60_000), (acknowledges, 1), (ends, 0), (acknowledges, 0)):
        bench.hosts[0].send(segment(flags, data))
    assert bench.hosts[1].recv(1 << 17) == segment(acknowledges, 0)
    assert bench.switch.counts()[1, 2].frames == 4


def test_packets_and_bytes_are_counted_for_each_pair_and_direction(bench: Bench) -> None:
    for number in range(5):
        bench.send(0, 1, number, size=100)
    bench.send(1, 0, size=60)
    assert bench.received(1, 5) == [0, 1, 2, 3, 4]
    bench.received(0, 1)
    bench.hosts[2].send(bytes(VNET) + b"\xff" * 6 + hardware_address(2) + bytes(50))  # for everybody: not carried
    bench.send(2, 2 + 1 + HOSTS)  # for a host that is not there
    bench.send(2, 0)
    bench.received(0, 1)
    assert bench.switch.counts() == {
        (1, 2): replace(NOTHING, frames=5, packets=5, bytes=500),
        (2, 1): replace(NOTHING, frames=1, packets=1, bytes=60),
        (3, 1): replace(NOTHING, frames=1, packets=1, bytes=BODY),
    }


def test_a_frame_that_an_adapter_would_cut_counts_as_its_segments(bench: Bench) -> None:
    payload, segment, headers = 10_000, 1448, ETHERNET + IPV4 + TCP
    vnet = struct.pack("BBHHHH", 1, 1, headers, segment, ETHERNET + IPV4, 16)
    tcp = bytes(12) + bytes([TCP // 4 << 4]) + bytes(TCP - 13)
    ethernet = hardware_address(1) + hardware_address(0) + b"\x08\x00"
    bench.hosts[0].send(vnet + ethernet + bytes(IPV4) + tcp + bytes(payload))
    assert len(bench.hosts[1].recv(1 << 17)) == VNET + headers + payload, "carried whole"
    counted = replace(NOTHING, frames=1, packets=7, bytes=payload + 7 * headers)
    assert bench.switch.counts() == {(1, 2): counted}


def test_frames_are_dropped_by_chance_and_the_same_ones_with_the_same_seed(bench: Bench) -> None:
    def survivors(seed: int) -> list[int]:
        before = bench.switch.counts().get((1, 2), NOTHING)
        bench.switch.set_faults(Faults(drop=0.5, seed=seed))
        for number in range(100):
            bench.send(0, 1, number)
        seen = bench.until_counted((1, 2), before.frames + before.dropped + 100) - before
        assert (seen.dropped, seen.overtaken, seen.stalled) == (100 - seen.frames, 0, 0)
        return bench.received(1, seen.frames)

    first = survivors(7)
    assert 25 < len(first) < 75
    assert first == sorted(first)
    assert survivors(7) == first
    assert survivors(8) != first


def test_a_frame_that_waits_alone_is_overtaken_and_one_that_stalls_is_not(bench: Bench) -> None:
    bench.switch.set_faults(Faults(overtake=0.3, overtake_us=20_000))
    for number in range(50):
        bench.send(0, 1, number)
    order = bench.received(1, 50)
    assert sorted(order) == list(range(50)) != order
    assert 0 < bench.switch.counts()[1, 2].overtaken < 50
    bench.switch.set_faults(Faults(stall=1, stall_us=30_000))
    begin = time.perf_counter()
    for number in range(2):
        bench.send(1, 2, number)
    assert bench.received(2, 2) == [0, 1]
    assert time.perf_counter() - begin >= 0.060, "the second also waits for the first"
    assert bench.switch.counts()[2, 3].stalled == 2


def test_a_cut_drops_what_is_under_way_and_a_mended_link_carries(bench: Bench) -> None:
    bench.switch.set_link(Link(delay_us=1e9))
    bench.send(0, 1, 1)
    bench.until_counted((1, 2), 1)
    bench.switch.cut(2)
    bench.switch.set_link(Link(delay_us=0))
    bench.send(2, 1, 2)
    bench.send(0, 2, 3)
    assert bench.received(2, 1) == [3], "the others are not cut"
    assert bench.until_counted((3, 2), 1).dropped == 1
    bench.switch.mend(2)
    bench.send(0, 1, 4)
    assert bench.received(1, 1) == [4]
    assert bench.switch.counts()[1, 2] == replace(NOTHING, frames=2, packets=2, bytes=2 * BODY, dropped=1)


def test_what_the_switch_does_not_understand_is_refused(bench: Bench) -> None:
    for words in ("link 1", f"cut {HOSTS + 1}", "hello"):
        with pytest.raises(RuntimeError, match=f"the switch does not understand: {words}"):
            bench.switch.ask(words)
