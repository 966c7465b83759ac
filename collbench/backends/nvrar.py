"""NVRAR as its users get it: for each message the kernel and launch shape that the tuned table holds, else a default.

The kernels are the files in ``kernels/``; ``collbench tune`` fills the table. A workload that no table knows takes the
default: one hop while the extra bytes cost less than the second hop would, else the three phases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collbench import backends, kernel_backend
from collbench.environment import gpu_missing

if TYPE_CHECKING:
    from collbench.device import Array, Call, Device
    from collbench.patterns import Emulator
    from collbench.plan import Workload
    from collbench.world import World

DEVICE = "gpu"
SUMMARY = "NVRAR: our kernels over NVSHMEM, the one that fits each size (see collbench tune)"
ONE_HOP, THREE_PHASES, BY_PUTS = "oneshot", "nvrar-lamport", "nvrar-put"
# A hop saved is worth that many bytes sent: 1.2 us at 370 GB/s, both measured on 4 x H200. Longer messages want rounds
# that overlap, which the one-hop kernel has not.
BYTES_OF_A_HOP, LONGEST_ONE_HOP = 444_000, 512 << 10


def missing() -> str | None:
    """A GPU, NVSHMEM and the compiler's libraries."""
    from collbench import kernels

    return gpu_missing(nvshmem="nvshmem4py-cu13") or kernels.missing()


def refuses(workload: Workload) -> str | None:
    """What the default kernel refuses."""
    return backends.find(default(workload)).refuses(workload)


def default(workload: Workload) -> str:
    """The kernel for a workload that was not tuned.

    One hop sends (P-1) S a rank, two send 2 (P-1)/P S: the difference is (P-1) (1 - 2/P) S.
    """
    layout, ranks = workload.layout, workload.layout.size
    if layout.node_count > 1:
        return THREE_PHASES if layout.virtual else BY_PUTS
    more = (ranks - 1) * (1 - 2 / ranks) * workload.bytes * (1 if workload.dtype.is_float else 2)
    return ONE_HOP if more <= BYTES_OF_A_HOP and workload.bytes <= LONGEST_ONE_HOP else THREE_PHASES


def candidates(workload: Workload) -> tuple[str, ...]:
    """Every launch shape of every kernel that can run the workload, its own default first.

    Kernels that know of no nodes are left out where there are several: they would time another algorithm.
    """
    first = default(workload)
    specs = [first]
    for name in kernel_backend.names():
        backend = backends.find(name)
        order = getattr(getattr(backend, "file", None), "order", None)
        knows_nodes = workload.layout.node_count == 1 or order == "nvrar"
        if knows_nodes and not backend.refuses(workload):
            specs += backends.candidates(backend, workload)
    return tuple(dict.fromkeys(specs))


def emulate(workload: Workload) -> Emulator | None:
    """The order of the three phases; on one node that of one hop is the same."""
    return backends.find(THREE_PHASES).emulate(workload)


def wire_bytes(workload: Workload) -> float | None:
    """Of the default; a call knows what its own kernel sends."""
    return backends.find(default(workload)).wire_bytes(workload)


def open(world: World, device: Device, arena_bytes: int) -> Session:
    """All kernels share the world's communicator, so opening one is enough."""
    return Session(world, device, arena_bytes, backends.find(THREE_PHASES).open(world, device, arena_bytes).arena)


def open_near_wrap(world: World, device: Device, arena_bytes: int) -> Session:
    """On a communicator whose flags are about to be used up."""
    from collbench import kernel_session

    kernel_session.open_near_wrap(world, device)
    return open(world, device, arena_bytes)


WAYS = {kernel_backend.NEAR_WRAP: open_near_wrap}


@dataclass(frozen=True)
class Session:
    """The kernels that were picked on one world."""

    world: World
    device: Any
    arena_bytes: int
    arena: Array
    picked: dict[Workload, backends.Session] = field(default_factory=dict)

    def prepare(self, workload: Workload, send: Array, recv: Array) -> Call:
        """The call of the kernel that rank 0 picks."""
        if workload not in self.picked:
            spec = self.world.led(lambda: self._tuned(workload)) or default(workload)
            self.picked[workload] = backends.find(spec).open(self.world, self.device, self.arena_bytes)
        return self.picked[workload].prepare(workload, send, recv)

    def _tuned(self, work: Workload) -> str | None:
        from collbench import environment, fabric, tuned

        layout = work.layout
        link = fabric.fabric_name(DEVICE, self.world.is_local, layout.virtual)
        key = tuned.key_of(
            "nvrar", work.collective.name, work.dtype.name, work.op, layout.node_count, layout.per_node, link,
            self.device.facts(), environment.versions(),
        )  # fmt: skip
        return tuned.choose(tuned.read_tables(), key, work.bytes)

    def release(self) -> None:
        """Calls hold nothing."""

    def close(self) -> None:
        """The communicator belongs to the world."""
