"""The switch between hosts: the properties of its links, their faults, and its counts.

``python -m lab.switch WORD...`` sends words to the switch that LAB_SWITCH names and prints its answer: ``counts``,
``cut 2``, ... The head of ``switch.c`` explains the words.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass, fields
from pathlib import Path

from lab.building import built

ANSWER_SECONDS = 20.0
PATH = "LAB_SWITCH"


@dataclass(frozen=True)
class Link:
    """What a frame meets on its way from a host to another.

    ``delay_us``: one way, in microseconds; ``rate_mbit``: 10**6 bits per second out of each host and into each,
    ``trunk_mbit``: of all frames between hosts together; None for no limit.
    """

    delay_us: float
    rate_mbit: float | None = None
    trunk_mbit: float | None = None

    def __str__(self) -> str:
        rate = "no limit of rate" if self.rate_mbit is None else f"{self.rate_mbit:g} Mbit/s out of and into each host"
        trunk = "" if self.trunk_mbit is None else f", {self.trunk_mbit:g} Mbit/s for all hosts together"
        return f"{self.delay_us:g} us one way, {rate}{trunk}"


@dataclass(frozen=True)
class Faults:
    """What goes wrong with frames, each drawn by itself with a chance of 0 to 1: ``drop``: it is lost; ``stall``: it
    and those behind it between the same hosts wait ``stall_us``; ``overtake``: it alone waits ``overtake_us``."""

    drop: float = 0.0
    stall: float = 0.0
    stall_us: float = 0.0
    overtake: float = 0.0
    overtake_us: float = 0.0
    seed: int = 1


@dataclass(frozen=True)
class Traffic:
    """What went from one host to another so far.

    ``frames`` as hosts gave them; ``packets`` and ``bytes`` as a link carries them, Ethernet headers included, without
    preamble, checksum and gap; ``dropped`` by chance or by a cut; ``overflowed``: no room in the switch or the host.
    """

    frames: int
    packets: int
    bytes: int
    dropped: int
    stalled: int
    overtaken: int
    overflowed: int

    def __sub__(self, before: Traffic) -> Traffic:
        return Traffic(*(getattr(self, field.name) - getattr(before, field.name) for field in fields(Traffic)))


NOTHING = Traffic(0, 0, 0, 0, 0, 0, 0)


def program() -> Path:
    """The switch, compiled. Raises RuntimeError."""
    return built("switch.c", "switch", ())


@dataclass(frozen=True)
class Switch:
    """A running switch, asked over its socket at ``path``. All methods raise RuntimeError where it does not obey."""

    path: Path

    def ask(self, words: str) -> str:
        """What the switch answers to ``words``."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            line.settimeout(ANSWER_SECONDS)
            line.connect(str(self.path))
            line.send(words.encode())
            answer = line.recv(1 << 17).decode()
        if not answer or answer.startswith("error"):
            raise RuntimeError(answer or "the switch has ended")
        return answer

    def set_link(self, link: Link) -> None:
        """What all frames meet that come from now on."""
        self.ask(f"link {round(link.delay_us * 1e3)} {_ps_per_byte(link.rate_mbit)} {_ps_per_byte(link.trunk_mbit)}")

    def set_faults(self, faults: Faults) -> None:
        """What goes wrong with frames that come from now on."""
        drop, stall, overtake = (round(chance * 1e6) for chance in (faults.drop, faults.stall, faults.overtake))
        stall_ns, overtake_ns = round(faults.stall_us * 1e3), round(faults.overtake_us * 1e3)
        self.ask(f"faults {faults.seed} {drop} {stall} {stall_ns} {overtake} {overtake_ns}")

    def cut(self, host: int = 0) -> None:
        """Drop what host 1, 2, ... sends and what is for it; 0: all hosts."""
        self.ask(f"cut {host}")

    def mend(self, host: int = 0) -> None:
        """Carry again what ``cut`` drops."""
        self.ask(f"mend {host}")

    def counts(self) -> dict[tuple[int, int], Traffic]:
        """The traffic from host to host, for pairs that have any; hosts are 1, 2, ..."""
        lines = [line.split() for line in self.ask("counts").splitlines() if line != "ok"]
        return {(int(source), int(target)): Traffic(*map(int, numbers)) for source, target, *numbers in lines}


def _ps_per_byte(rate_mbit: float | None) -> int:
    return round(8e6 / rate_mbit) if rate_mbit else 0


if __name__ == "__main__":
    print(Switch(Path(os.environ[PATH])).ask(" ".join(sys.argv[1:])))
