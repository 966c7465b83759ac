"""The process that keeps the hosts alive: a child for each, in namespaces of its own, and the switch between them.

``python hosts.py HOSTS SWITCH CONTROL SPIN``: the number of hosts, the switch's program, the descriptor of its control
socket, and whether it spins. Prints the hosts as JSON, {address: process}, and ends on a signal, with its parent, or
with the switch. Needs root and /dev/net/tun, but no command of the system: addresses are set by ioctl.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

TUN = "/dev/net/tun"
# linux/if_tun.h: requests, and an Ethernet device whose frames carry a virtio_net_hdr, so that TCP may hand over
# segments of 64 KiB (TSO) whose checksum nobody computes.
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x04000000, 0x08000000, 0x40000000  # linux/sched.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h
ENDS = (signal.SIGTERM, signal.SIGINT)
# linux/sockios.h, linux/if.h, linux/if_arp.h
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFHWADDR = 0x8914, 0x8916, 0x891C, 0x8924
SIOCSIFTXQLEN, SIOCSARP = 0x8943, 0x8955
IFF_UP, IFF_RUNNING, ARPHRD_ETHER, ATF_COM, ATF_PERM = 0x1, 0x40, 1, 0x2, 0x4
QUEUE_FRAMES = 10000
# Idle connections must not begin slowly again; and one congestion control everywhere: the one that each kernel has.
SETTINGS = {"tcp_slow_start_after_idle": "0", "tcp_congestion_control": "reno"}
libc = ctypes.CDLL(None, use_errno=True)


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
        _checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")  # ends with its parent, however that ends
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
    for name, value in SETTINGS.items():
        _set(Path("/proc/sys/net/ipv4", name), value)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:

        def interface(request: int, name: bytes, argument: bytes) -> None:  # struct ifreq
            fcntl.ioctl(any_socket, request, struct.pack("16s24s", name, argument))

        up = struct.pack("h", IFF_UP | IFF_RUNNING)
        interface(SIOCSIFFLAGS, b"lo", up)
        interface(SIOCSIFHWADDR, b"eth0", struct.pack("H6s", ARPHRD_ETHER, hardware_address(index)))
        interface(SIOCSIFADDR, b"eth0", _inet(address_of(index)))
        interface(SIOCSIFNETMASK, b"eth0", _inet("255.255.255.0"))
        interface(SIOCSIFTXQLEN, b"eth0", struct.pack("i", QUEUE_FRAMES))
        interface(SIOCSIFFLAGS, b"eth0", up)
        for other in range(hosts):
            if other != index:
                fcntl.ioctl(any_socket, SIOCSARP, _neighbour(other))


def _set(setting: Path, value: str) -> None:
    try:
        setting.write_text(value)
    except OSError as error:  # a container may not let it be set; the network works, but TCP is another
        print(f"{socket.gethostname()}: {setting} is not {value}: {error.strerror}", file=sys.stderr)


def _inet(address: str) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))  # struct sockaddr_in


def _neighbour(index: int) -> bytes:  # struct arpreq
    hardware = struct.pack("H6s8x", ARPHRD_ETHER, hardware_address(index))
    return _inet(address_of(index)) + hardware + struct.pack("i16s16s", ATF_COM | ATF_PERM, b"", b"eth0")


def end_programs(holders: Collection[int]) -> None:
    """Kill whatever runs on the hosts of these processes, but not the processes."""
    hosts = {_network_of(process) for process in holders}
    for folder in Path("/proc").glob("[0-9]*"):
        process = int(folder.name)
        with suppress(OSError):  # it has ended meanwhile
            if process not in holders and _network_of(process) in hosts:
                os.kill(process, signal.SIGKILL)


def _network_of(process: int) -> int:
    return os.stat(f"/proc/{process}/ns/net").st_ino


def _end(*_: object) -> NoReturn:
    """Exit at the first signal; a second one, of the parent that ends as well, does not disturb that."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


def main() -> None:
    """Hold hosts and switch up."""
    hosts, program, control, spin = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    _checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM), "prctl")
    for number in ENDS:
        signal.signal(number, _end)
    made: list[tuple[int, int]] = []
    try:
        made += (start_host(index, hosts) for index in range(hosts))
        cables = [cable for _, cable in made]
        command = [program, spin, str(control), *map(str, cables)]
        with subprocess.Popen(command, pass_fds=(control, *cables)) as switch:
            try:
                print(json.dumps({address_of(index): process for index, (process, _) in enumerate(made)}), flush=True)
                sys.exit(f"the switch ended with {switch.wait()}")
            finally:
                switch.kill()
    finally:
        # Also where this process ends because its parent was killed: what is left of a job would spin on.
        end_programs([process for process, _ in made])
        for process, _ in made:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


if __name__ == "__main__":
    main()
