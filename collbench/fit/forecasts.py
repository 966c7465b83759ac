"""NCCL's own forecast as a source of latencies: by the constants of its source, or by the table in its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from collbench.errors import UsageError, pick
from collbench.fit.estimate import ASSUMED, MODELLED, Estimate, check_request
from collbench.fit.nccl_model import GPUS, LAST, Machine, Way, forecast, has_plateau
from collbench.fit.nccl_tables import Table, read_table
from collbench.tables import counted

# What was measured over NCCL's forecast: on 2 and 4 H200 0.79 to 1.0 at 4 KiB (results/h200x4-worlds.csv), between two
# nodes on Slingshot-11 up to 3.6 (``fit.public_curves``).
QUICKER, SLOWER_INSIDE, SLOWER_BETWEEN = 0.75, 1.3, 4.0
GRAMMAR = "forecast:GPU:channels=C:width=GB/s[:cpu=CPU][:net=US][:version=2.N] or forecast:log=FILE[:ranks=P:nodes=N]"
_LIKE: Mapping[str, str] = MappingProxyType({"h200": "h100", "gh200": "h100", "gb200": "b200"})


@dataclass(frozen=True)
class Forecast:
    """NCCL's forecast for a machine, by its constants."""

    machine: Machine

    @property
    def name(self) -> str:
        """What it is called."""
        return "nccl (forecast)"

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """As `Latencies.of`; raises UsageError for collectives that NCCL's model has no ring or tree for."""
        check_request(size, ranks, nodes)
        us, way = forecast(self.machine, operation, size, ranks, nodes)
        return _estimate(us, way, nodes, ASSUMED, f"NCCL's constants, {self.machine.gpu}")


@dataclass(frozen=True)
class Logged:
    """NCCL's forecast for the world of a log, by the table in it."""

    table: Table
    origin: str

    @property
    def name(self) -> str:
        """What it is called."""
        return "nccl (its table)"

    @cached_property
    def world(self) -> tuple[int, int]:
        """Ranks and nodes of the log."""
        if self.table.ranks is None or self.table.nodes is None:
            raise UsageError(f"{self.origin} does not say its ranks and nodes; add :ranks=P:nodes=N.")
        return self.table.ranks, self.table.nodes

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """As `Latencies.of`; raises UsageError for another world than the table's, and for other collectives."""
        check_request(size, ranks, nodes)
        if (ranks, nodes) != self.world:
            world = f"{counted(self.world[0], 'rank')} on {counted(self.world[1], 'node')}"
            raise UsageError(f"the table of {self.origin} is only of {world}.")
        ways = self.table.ways.get(operation)
        if not ways:
            raise UsageError(f"the table of {self.origin} has no {operation}.")
        plateau = has_plateau(size, self.table.channels or 1, ranks, nodes)
        us, way = min(((each.us(operation, size, plateau), each) for each in ways), key=lambda found: found[0])
        return _estimate(us, way, nodes, MODELLED, self.origin)


def _estimate(us: float, way: Way, nodes: int, basis: str, origin: str) -> Estimate:
    slower = SLOWER_BETWEEN if nodes > 1 else SLOWER_INSIDE
    return Estimate(us, us * QUICKER, us * slower, basis, f"forecast: {origin}, {way.algorithm} {way.protocol}")


def parse_forecast(text: str) -> Forecast | Logged:
    """The forecast that ``text`` names, as GRAMMAR has it without its first word. Raises UsageError."""
    first, *words = text.split(":")
    given = dict(_pair(word, text) for word in words)
    if first.startswith("log="):
        return _logged(first.removeprefix("log="), given, text)
    known = {"channels", "width", "cpu", "net", "version"}
    for key in given:
        pick(f"key in {text!r}:", key, known)
    if missing := next((key for key in ("channels", "width") if key not in given), None):
        raise UsageError(f"{text!r} lacks {missing}, which NCCL's log names; write {GRAMMAR}.")
    gpu = _LIKE.get(first.lower(), first.lower())
    pick("GPU", gpu, GPUS)
    version = _version(given["version"]) if "version" in given else LAST
    return Forecast(Machine(
        gpu, _whole(given["channels"]), _number(given["width"]), given.get("cpu", "intel").lower(),
        _number(given.get("net", "0")), version,
    ))  # fmt: skip


def _logged(path: str, given: Mapping[str, str], text: str) -> Logged:
    for key in given:
        pick(f"key in {text!r}:", key, {"ranks", "nodes"})
    found = read_table(Path(path))
    ranks = _whole(given["ranks"]) if "ranks" in given else found.ranks
    nodes = _whole(given["nodes"]) if "nodes" in given else found.nodes
    return Logged(Table(found.ways, ranks, nodes, found.channels), path)


def _pair(word: str, text: str) -> tuple[str, str]:
    key, sign, value = word.partition("=")
    if not (sign and value):
        raise UsageError(f"{word!r} in {text!r} is not KEY=VALUE; write {GRAMMAR}.")
    return key, value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a number.") from None


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{text!r} is not a whole number.")
    return int(text)


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    minor = minor.partition(".")[0]
    return _whole(major), _whole(minor)
