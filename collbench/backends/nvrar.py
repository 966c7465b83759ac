"""NVRAR as its users get it: for each message the kernel and launch shape that the tuned table holds, else a default.

The kernels are the files in ``kernels/``; ``collbench tune`` fills the table. A workload that no table knows takes the
default: one hop while the extra bytes cost less than the second hop would, else the three phases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collbench.backends import ExactOrder, Session, _kernels
from collbench.kernels.session import open_communicator
from collbench.kernels.session import open_near_wrap as _open_near_wrap

if TYPE_CHECKING:
    from collbench.devices.device import Array, Call, Device
    from collbench.plan.problem import Workload
    from collbench.ranks.world import World

DEVICE = _kernels.device()
SUMMARY = "NVRAR: our kernels over NVSHMEM, the one that fits each size (see collbench tune)"
ONE_HOP, PLAIN, THREE_PHASES, BY_PUTS = "oneshot", "nvrar-ll", "nvrar-lamport", "nvrar-put"
# A hop saved is worth that many bytes sent: 1.2 us at 370 GB/s, both measured on 4 x H200. Beyond so many times more,
# one hop is not even tried.
BYTES_OF_A_HOP, HOPELESS = 444_000, 8


def missing() -> str | None:
    """What the kernels need."""
    return _kernels.missing()


def refuses(workload: Workload) -> str | None:
    """What the default kernel refuses."""
    return _kernels.find(default(workload)).refuses(workload)


def default(workload: Workload) -> str:
    """The kernel for a workload that was not tuned."""
    if workload.layout.node_count > 1:
        return THREE_PHASES if workload.layout.virtual else BY_PUTS
    return ONE_HOP if _more_in_one_hop(workload) <= BYTES_OF_A_HOP else THREE_PHASES


def _more_in_one_hop(workload: Workload) -> float:
    """Bytes that one hop sends more than two: (P-1) S, and 2 (P-1)/P S."""
    ranks = workload.layout.size
    return (ranks - 1) * (1 - 2 / ranks) * workload.bytes * (1 if workload.dtype.is_float else 2)


def candidates(workload: Workload) -> tuple[str, ...]:
    """Every launch shape of every kernel of ours that fits the workload, its own default first.

    One hop knows of no nodes, so it is left out where there are several: it would be another algorithm. Puts are for
    nodes that loads and stores do not reach.
    """
    layout = workload.layout
    reached = layout.node_count == 1 or layout.virtual
    left_out = {BY_PUTS} if reached else {ONE_HOP, PLAIN, THREE_PHASES}
    if layout.node_count > 1 or _more_in_one_hop(workload) > HOPELESS * BYTES_OF_A_HOP:
        left_out.add(ONE_HOP)
    specs = [default(workload)]
    for name in _kernels.own_names():
        backend = _kernels.find(name)
        if name not in left_out and not backend.refuses(workload):
            specs += backend.candidates(workload)
    return tuple(dict.fromkeys(specs))


def exact_order(workload: Workload) -> ExactOrder | None:
    """The order of the three phases; on one node that of one hop is the same."""
    return _kernels.find(THREE_PHASES).exact_order(workload)


def wire_bytes(workload: Workload) -> float | None:
    """Of the default; a call knows what its own kernel sends."""
    return _kernels.find(default(workload)).wire_bytes(workload)


def open(world: World, device: Device, arena_bytes: int) -> NvrarSession:
    """All kernels share the world's communicator, so opening one is enough."""
    return NvrarSession(world, device, arena_bytes, _kernels.find(THREE_PHASES).open(world, device, arena_bytes).arena)


def open_near_wrap(world: World, device: Device, arena_bytes: int) -> NvrarSession:
    """On a communicator whose flags are about to be used up."""
    _open_near_wrap(world, device)
    return open(world, device, arena_bytes)


WAYS = {_kernels.NEAR_WRAP: open_near_wrap}


@dataclass(frozen=True)
class NvrarSession:
    """The kernels that were picked on one world."""

    world: World
    device: Device
    arena_bytes: int
    arena: Array
    picked: dict[Workload, Session] = field(default_factory=dict)

    def prepare(self, workload: Workload, send: Array, recv: Array) -> Call:
        """The call of the kernel that rank 0 picks."""
        if workload not in self.picked:
            spec = self.world.led(lambda: self._tuned(workload)) or self._default(workload)
            self.picked[workload] = _kernels.find(spec).open(self.world, self.device, self.arena_bytes)
        return self.picked[workload].prepare(workload, send, recv)

    def _default(self, workload: Workload) -> str:
        """The default, or puts where loads and stores do not reach all ranks: a layout does not tell."""
        if self.device.kind == "cpu":  # few long phases: ranks that share a core change places least often
            return BY_PUTS
        reached = open_communicator(self.world, self.device).reaches(range(workload.layout.size))
        return default(workload) if reached else BY_PUTS

    def _tuned(self, work: Workload) -> str | None:
        from collbench.host import environment, fabric
        from collbench.tune import table as tuned

        layout = work.layout
        link = fabric.fabric_name(self.device.kind, self.world.is_local, layout.virtual)
        key = tuned.key_of(
            "nvrar", work.collective.name, work.dtype.name, work.op, layout.node_count, layout.per_node, link,
            self.device.facts(), environment.versions(),
        )  # fmt: skip
        return tuned.choose(tuned.read_tables(), key, work.bytes)

    def transport(self) -> str:
        """What the kernels take from this rank to others."""
        return open_communicator(self.world, self.device).transport()

    def release(self) -> None:
        """Calls hold nothing."""

    def close(self) -> None:
        """The communicator belongs to the world."""
