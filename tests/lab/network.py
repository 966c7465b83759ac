"""Hosts on one machine: namespaces with host names of their own, and between them a network with delay and rate.

Needs root, /dev/net/tun and ``ip``. A host is a process that sits in a network, a host name (UTS) and an IPC namespace
of its own; other programs run on that host by entering them (``tests/lab/enter``). The namespaces have no names, so
nothing is left of them once the last process in them has ended, and several networks do not meet. A switch, a process
of its own, carries the frames between them in user space and holds each back as a network would, since not every
kernel has netem. Hosts are 10.77.0.1, 10.77.0.2, ... and are called node1, node2, ...
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ENTER = Path(__file__).with_name("enter")
READY_SECONDS, END_SECONDS = 20.0, 5.0
TUN = "/dev/net/tun"
# linux/if_tun.h: requests, and an Ethernet device whose frames carry a virtio_net_hdr, so that TCP may hand over
# segments of 64 KiB (TSO) whose checksum nobody computes.
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02
VNET_HEADER, LONGEST_FRAME, FRAMES_AT_ONCE = 10, 70000, 16
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x04000000, 0x08000000, 0x40000000  # linux/sched.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Idle connections must not begin slowly again; and one congestion control everywhere: the one that each kernel has.
SETTINGS = {"tcp_slow_start_after_idle": "0", "tcp_congestion_control": "reno"}
libc = ctypes.CDLL(None, use_errno=True)


def missing() -> str | None:
    """Why there can be no such network here, or None."""
    if os.geteuid() != 0:
        return "hosts in namespaces need root"
    lacking = [name for name in ("ip", "unshare", "nsenter", "chrt") if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not found; install iproute2 and util-linux"
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except OSError as error:
        return f"{TUN}: {error.strerror}"
    probe = ["unshare", "--net", "--uts", "--ipc", "chrt", "--fifo", "1", "true"]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else None


@dataclass(frozen=True)
class Link:
    """What a frame meets on its way from a host to another.

    ``delay_us``: one way, in microseconds; ``rate_mbit``: 10**6 bits per second out of each host and into each, None
    for no limit.
    """

    delay_us: float
    rate_mbit: float | None = None

    def __str__(self) -> str:
        rate = "no limit of rate" if self.rate_mbit is None else f"{self.rate_mbit:g} Mbit/s out of and into each host"
        return f"{self.delay_us:g} us one way, {rate}"


@dataclass(frozen=True)
class Network:
    """Hosts that are up: addresses and the processes that hold their namespaces, and the switch between them."""

    hosts: Mapping[str, int]
    link: Link
    switch: subprocess.Popen[str]

    @property
    def environment(self) -> dict[str, str]:
        """What ``enter`` needs to find the hosts."""
        return {"LAB_HOSTS": " ".join(f"{address}={process}" for address, process in self.hosts.items())}

    def cut(self) -> None:
        """Carry no frame from now on."""
        self.switch.send_signal(signal.SIGSTOP)

    def end_programs(self) -> None:
        """Kill whatever still runs on the hosts."""
        holders = set(self.hosts.values())
        ours = {_network_of(process) for process in holders}
        for folder in Path("/proc").glob("[0-9]*"):
            process = int(folder.name)
            with suppress(OSError):  # it has ended meanwhile
                if process not in holders and _network_of(process) in ours:
                    os.kill(process, signal.SIGKILL)


def _network_of(process: int) -> int:
    return os.stat(f"/proc/{process}/ns/net").st_ino


@contextmanager
def network(hosts: int, link: Link) -> Iterator[Network]:
    """That many hosts, as long as the context lasts; RuntimeError where they do not come up."""
    command = [sys.executable, __file__, str(hosts), str(link.delay_us), str(link.rate_mbit or 0)]
    switch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        made = Network(_wait_for_hosts(switch), link, switch)
        try:
            yield made
        finally:
            made.end_programs()
    finally:
        switch.send_signal(signal.SIGCONT)
        switch.terminate()
        try:
            switch.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            switch.kill()
            switch.communicate()


def _wait_for_hosts(switch: subprocess.Popen[str]) -> dict[str, int]:
    """The hosts, once the switch has reported that they are up."""
    assert switch.stdout is not None
    assert switch.stderr is not None
    ready, _, _ = select.select([switch.stdout], [], [], READY_SECONDS)
    line = switch.stdout.readline() if ready else ""
    if not line:
        switch.kill()
        raise RuntimeError(f"the network did not come up: {switch.stderr.read().strip() or 'it took too long'}")
    hosts: dict[str, int] = json.loads(line)
    return hosts


# ---- What runs in the switch's process ----


def address_of(index: int) -> str:
    """The address of host ``index`` = 0, 1, ..."""
    return f"10.77.0.{index + 1}"


def hardware_address(index: int) -> bytes:
    """The Ethernet address of host ``index``: locally administered, its last byte is the number of the host."""
    return bytes([2, 0, 0, 0, 77, index + 1])


def _checked(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def start_host(index: int, hosts: int) -> tuple[int, int]:
    """A child in namespaces of its own that does nothing but hold them: (process, its end of the cable)."""
    ours, theirs = socket.socketpair()
    process = os.fork()
    if process == 0:
        _be_host(index, hosts, ours, theirs)
    theirs.close()
    _, cables, _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    if not cables:
        sys.exit(f"host {address_of(index)} did not come up")
    return process, cables[0]


def _be_host(index: int, hosts: int, ours: socket.socket, theirs: socket.socket) -> NoReturn:
    try:
        ours.close()
        _checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")  # ends with the switch, however that ends
        _checked(libc.unshare(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC), "unshare")
        socket.sethostname(f"node{index + 1}")
        cable = open_cable()
        configure(index, hosts)
        socket.send_fds(theirs, [b"."], [cable])
        os.close(cable)
        theirs.close()
        while True:
            signal.pause()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def open_cable() -> int:
    """The other end of a new ``eth0`` in this network namespace."""
    cable = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(cable, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(cable, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
    return cable


def configure(index: int, hosts: int) -> None:
    """Addresses, and neighbours that are known from the start: no frame but data crosses the network."""
    written = [hardware_address(each).hex(":") for each in range(hosts)]
    orders = [
        "link set lo up",
        f"link set eth0 address {written[index]}",
        f"addr add {address_of(index)}/24 dev eth0",
        "link set eth0 txqueuelen 10000 up",
    ]
    orders += [
        f"neigh add {address_of(other)} lladdr {written[other]} dev eth0 nud permanent"
        for other in range(hosts)
        if other != index
    ]
    for name, value in SETTINGS.items():
        Path("/proc/sys/net/ipv4", name).write_text(value)
    subprocess.run(["ip", "-batch", "-"], input="\n".join(orders), text=True, check=True, stdout=subprocess.DEVNULL)


class Switch:
    """Carries frames between ``cables``, each later than it came by the link's delay and the time that it takes on it.

    A frame leaves its host when those before it have left, and enters the other when those before it have entered;
    both go on at once. Seconds inside.
    """

    def __init__(self, cables: Sequence[int], link: Link) -> None:
        self._cables = list(cables)
        self._port = {hardware_address(index): index for index in range(len(cables))}
        self._delay = link.delay_us * 1e-6
        self._seconds_per_byte = 8e-6 / link.rate_mbit if link.rate_mbit else 0.0
        self._left, self._entered = ([0.0] * len(cables) for _ in range(2))
        self._under_way: list[tuple[float, int, int, bytes]] = []  # (due, number, port, frame), the next one first
        self._number = 0

    def run(self) -> NoReturn:
        """Until a signal ends this process."""
        while True:
            wait = max(0.0, self._under_way[0][0] - time.perf_counter()) if self._under_way else None
            readable, _, _ = select.select(self._cables, [], [], wait)
            for cable in readable:
                self._take(cable)
            self._deliver()

    def _take(self, cable: int) -> None:
        source = self._cables.index(cable)
        for _ in range(FRAMES_AT_ONCE):
            try:
                frame = os.read(cable, LONGEST_FRAME)
            except BlockingIOError:
                return
            target = self._port.get(frame[VNET_HEADER : VNET_HEADER + 6])
            if target is not None:  # what is for everybody (IPv6 looking for routers) is not carried
                self._send(source, target, frame)

    def _send(self, source: int, target: int, frame: bytes) -> None:
        on_the_wire = len(frame) * self._seconds_per_byte
        self._left[source] = max(time.perf_counter(), self._left[source]) + on_the_wire
        self._entered[target] = max(self._left[source], self._entered[target] + on_the_wire)
        self._number += 1
        heapq.heappush(self._under_way, (self._entered[target] + self._delay, self._number, target, frame))

    def _deliver(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.perf_counter():
            _, _, target, frame = heapq.heappop(self._under_way)
            with suppress(BlockingIOError):  # a full queue drops, as in any switch
                os.write(self._cables[target], frame)


def _main() -> None:
    hosts, delay_us, rate_mbit = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    _checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM), "prctl")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    made: list[tuple[int, int]] = []
    try:
        made += (start_host(index, hosts) for index in range(hosts))
        # Ranks that wait spin: behind them the switch would never be in time.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        print(json.dumps({address_of(index): process for index, (process, _) in enumerate(made)}), flush=True)
        Switch([cable for _, cable in made], Link(delay_us, rate_mbit or None)).run()
    finally:
        for process, _ in made:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


if __name__ == "__main__":
    _main()
