"""Where ranks run and what GPUs nodes have: pure functions from facts to findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from collbench.doctor.findings import Finding, fine, note
from collbench.host.probes import Node


@dataclass(frozen=True)
class Seat:
    """A rank: its host, its cores, its GPU by PCI address, the cores ``near`` that GPU (none: unknown), and the network
    adapters in the same part of the node."""

    rank: int
    host: str
    cores: frozenset[int]
    pci: str
    near: frozenset[int]
    nics: tuple[str, ...]

    @property
    def is_far(self) -> bool:
        """Whether no core of the rank is near its GPU."""
        return bool(self.near) and not self.cores & self.near


def far_cores(seats: Sequence[Seat]) -> Finding | None:
    """Ranks that run on cores of another part of the node than their GPU and its adapter; None where it is unknown."""
    far = [seat for seat in seats if seat.is_far]
    if not far:
        return fine("cores and GPUs", "every rank has cores near its GPU") if any(seat.near for seat in seats) else None
    first = far[0]
    nics = f" and {' and '.join(first.nics)}" if first.nics else ""
    words = (
        f"{len(far)} of {len(seats)} ranks run far from their GPU: rank {first.rank} of {first.host} on cores "
        f"{spans(first.cores)}, its GPU {first.pci}{nics} near {spans(first.near)}"
    )
    cure = (
        "bind ranks to the cores of their GPUs (srun --cpu-bind), or order the GPUs: on Perlmutter and Polaris "
        "CUDA_VISIBLE_DEVICES=3,2,1,0"
    )
    return note("cores and GPUs", words, cure)


def spans(cores: frozenset[int]) -> str:
    """Numbers as ranges: ``0-15,64-79``."""
    ordered = sorted(cores)
    starts = [core for core in ordered if core - 1 not in cores]
    ends = [core for core in ordered if core + 1 not in cores]
    return ",".join(f"{a}-{b}" if a != b else f"{a}" for a, b in zip(starts, ends, strict=True))


def unlike_gpus(nodes: Sequence[Node]) -> Finding | None:
    """Nodes with other GPUs than the rest: a rank of the slower kind holds up all others."""
    kinds = {node.host: ", ".join(f"{n} × {name}" for name, n in Counter(gpu.name for gpu in node.gpus).items())
             for node in nodes if node.gpus}  # fmt: skip
    counts = Counter(kinds.values())
    if len(counts) < 2:
        return None
    (usual, most), *others = counts.most_common()
    named = "; ".join(f"{next(host for host in kinds if kinds[host] == kind)}: {kind}" for kind, _ in others)
    words = f"{most} of {len(kinds)} nodes have {usual}; {named}"
    return note("unlike GPUs", words, "ask for nodes of one kind (Slurm: --constraint)")
