"""The tables of latency and bandwidth that NCCL prints with NCCL_DEBUG=INFO and NCCL_DEBUG_SUBSYS=INIT,TUNING.

Two formats: since 2.18 blocks of three algorithms, whose columns are named by the lines ``Algorithm`` and ``Protocol``;
before, one line ``Latency/AlgBw`` names them. Source: NVIDIA/nccl, src/graph/tuning.cc.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from collbench.errors import UsageError
from collbench.fit.nccl_model import Way

OPERATIONS: Mapping[str, str] = MappingProxyType({
    "AllReduce": "all_reduce", "ReduceScatter": "reduce_scatter", "AllGather": "all_gather", "Broadcast": "broadcast",
})  # fmt: skip
_CELL = re.compile(r"\s*(\d+\.\d+)/\s*(\d+\.\d+)\s*")
_WORLD = re.compile(r"nranks\s+(\d+)(?:\s+nnodes\s+(\d+))?", re.IGNORECASE)
_CHANNELS = re.compile(r"(\d+) coll channels")
Ways = dict[str, tuple[Way, ...]]


@dataclass(frozen=True)
class Table:
    """The ways of each collective that NCCL has enabled; the world and channels of the communicator, None where the log
    does not have them."""

    ways: Mapping[str, tuple[Way, ...]]
    ranks: int | None
    nodes: int | None
    channels: int | None


def read_table(path: Path) -> Table:
    """The table in a log. Raises UsageError for a file that cannot be read, has no table, or has several that differ,
    as of two communicators."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    tables = _tables(lines)
    if not tables:
        raise UsageError(f"{path} has no table of NCCL; set NCCL_DEBUG=INFO and NCCL_DEBUG_SUBSYS=INIT,TUNING.")
    if any(table != tables[0] for table in tables):
        raise UsageError(f"{path} has tables of several communicators; give the log of a run with one.")
    text = "\n".join(lines)
    worlds = {(int(ranks), int(nodes) if nodes else None) for ranks, nodes in _WORLD.findall(text)}
    ranks, nodes = worlds.pop() if len(worlds) == 1 else (None, None)
    channels = _CHANNELS.search(text)
    return Table(MappingProxyType(tables[0]), ranks, nodes, int(channels[1]) if channels else None)


def _tables(lines: Iterable[str]) -> list[Ways]:
    """The tables of a log; a collective that comes again begins the next one, or another block of the same."""
    found: list[Ways] = []
    heads: list[tuple[str, str]] = []
    algorithms: list[str] = []
    block = 0
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")]
        name = cells[0].split()[-1] if cells[0].split() else ""
        if name == "Latency/AlgBw":
            heads = [_pair(cell) for cell in cells[1:-1]]
            block = 0
        elif name == "Algorithm":
            algorithms = [cell for cell in cells[1:] if cell]
            block = 0 if "Tree" in algorithms else block + 1
        elif name == "Protocol":
            heads = _columns(algorithms, [cell for cell in cells[1:] if cell])
        elif heads and name in OPERATIONS:
            _add(found, OPERATIONS[name], _ways(heads, cells[1:]), block)
    return found


def _pair(cell: str) -> tuple[str, str]:
    algorithm, _, protocol = cell.partition("/")
    return algorithm.strip(), protocol.strip()


def _columns(algorithms: Sequence[str], protocols: Sequence[str]) -> list[tuple[str, str]]:
    each = len(protocols) // max(1, len(algorithms))
    return [(algorithms[at // each], protocol) for at, protocol in enumerate(protocols)] if each else []


def _ways(heads: Sequence[tuple[str, str]], cells: Sequence[str]) -> tuple[Way, ...]:
    """The ways with a bandwidth: NCCL does not take those of 0."""
    numbers = [match.groups() for cell in cells if (match := _CELL.fullmatch(cell))]
    return tuple(
        Way(*head, float(latency), float(bandwidth))
        for head, (latency, bandwidth) in zip(heads, numbers, strict=False)
        if float(bandwidth) > 0
    )


def _add(found: list[Ways], operation: str, ways: tuple[Way, ...], block: int) -> None:
    if block == 0 and (not found or operation in found[-1]):
        found.append({})
    if found:
        found[-1][operation] = (*found[-1].get(operation, ()), *ways)
