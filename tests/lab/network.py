"""Hosts on one machine: namespaces with host names of their own, joined by a network with delay and rate.

Needs root, /dev/net/tun, a C compiler and util-linux. A host is a process in a network, a host name (UTS) and an IPC
namespace of its own; other programs run on that host by entering them (``tests/lab/enter``). The namespaces have no
names, so they vanish with the last process in them, and several networks do not collide. A switch, a process of its
own, carries the frames between them in user space and delays each as a network would, since not every kernel has netem.
Hosts are 10.77.0.1, 10.77.0.2, ... and are called node1, node2, ...
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from collbench.kernels import host_compiler
from lab.hosts import TUN, end_programs
from lab.switch import PATH, Faults, Link, Switch, program

__all__ = ["ENTER", "Faults", "Link", "Network", "missing", "network"]

ENTER = Path(__file__).with_name("enter")
READY_SECONDS, END_SECONDS = 20.0, 5.0


def missing() -> str | None:
    """Why there can be no such network here, or None."""
    if os.geteuid() != 0:
        return "hosts in namespaces need root"
    lacking = [name for name in ("unshare", "nsenter") if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not found; install util-linux"
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except OSError as error:
        return f"{TUN}: {error.strerror}"
    probe = ["unshare", "--net", "--uts", "--ipc", "true"]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)
    if tried.returncode:
        return tried.stderr.strip() or "unshare fails"
    return host_compiler.missing()


@dataclass(frozen=True)
class Network:
    """Hosts that are up: addresses and the processes that hold their namespaces, and the switch between them."""

    hosts: Mapping[str, int]
    link: Link
    switch: Switch

    @property
    def environment(self) -> dict[str, str]:
        """What ``enter`` needs to find the hosts, and ``python -m lab.switch`` the switch."""
        hosts = " ".join(f"{address}={process}" for address, process in self.hosts.items())
        return {"LAB_HOSTS": hosts, PATH: str(self.switch.path)}

    def cut(self) -> None:
        """Carry no frame from now on."""
        self.switch.cut()

    def end_programs(self, *addresses: str) -> None:
        """Kill whatever still runs on the hosts at ``addresses``, else on all."""
        end_programs([self.hosts[address] for address in addresses or self.hosts])


@contextmanager
def network(hosts: int, link: Link, spin: bool = False) -> Iterator[Network]:
    """That many hosts, as long as the context lasts; RuntimeError where they do not come up.

    ``spin``: the switch takes two processors for each host and adds a microsecond or two to the delay, where one that
    sleeps adds some 20, and more where real-time scheduling is not permitted.
    """
    with tempfile.TemporaryDirectory(prefix="lab-") as folder, _held_up(hosts, spin, Path(folder, "switch")) as made:
        switch = Switch(Path(folder, "switch"))
        switch.set_link(link)
        yield Network(made, link, switch)


@contextmanager
def _held_up(hosts: int, spin: bool, path: Path) -> Iterator[dict[str, int]]:
    """The hosts, held up by a child, whose switch is asked at ``path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) as control:
        control.bind(str(path))
        control.listen()
        words = [str(hosts), str(program()), str(control.fileno()), str(int(spin))]
        child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("hosts.py")), *words], pass_fds=[control.fileno()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    try:
        yield _wait_for_hosts(child)
    finally:
        child.terminate()
        try:
            _, warnings = child.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            _, warnings = child.communicate()
        sys.stderr.write(warnings)


def _wait_for_hosts(child: subprocess.Popen[str]) -> dict[str, int]:
    """The hosts, once their process has reported that they are up."""
    assert child.stdout is not None
    assert child.stderr is not None
    ready, _, _ = select.select([child.stdout], [], [], READY_SECONDS)
    line = child.stdout.readline() if ready else ""
    if not line:
        child.kill()
        raise RuntimeError(f"the network did not come up: {child.stderr.read().strip() or 'it took too long'}")
    hosts: dict[str, int] = json.loads(line)
    return hosts
