"""NCCL as its users get it: default tuning, buffers that we do not register.

The memory comes from ncclMemAlloc, so in a CUDA graph NCCL registers it by itself (NCCL_GRAPH_REGISTER, on by default).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collbench.host.gpus import gpu_missing

if TYPE_CHECKING:
    from collbench.backends import ExactOrder
    from collbench.devices.device import Array, Call, Device
    from collbench.plan.problem import Workload
    from collbench.ranks.world import World

DEVICE = "gpu"
SUMMARY = "NCCL with default tuning"


def missing() -> str | None:
    """A GPU and nccl4py."""
    return gpu_missing()


def refuses(workload: Workload) -> str | None:
    """NCCL has every collective here, for every type."""
    return None


def exact_order(workload: Workload) -> ExactOrder | None:
    """NCCL's order depends on the algorithm it picks."""
    return None


def wire_bytes(workload: Workload) -> float | None:
    """NCCL does not say."""
    return None


def open(world: World, device: Device, arena_bytes: int) -> Session:
    """A communicator over the world, memory from ncclMemAlloc."""
    from collbench.devices.nccl import Communicator

    return Session(device, device.arena(arena_bytes), Communicator(world) if world.member else None)


@dataclass(frozen=True)
class Session:
    """A communicator on one world; ``comm`` is None on ranks that sit out."""

    device: Any
    arena: Array
    comm: Any

    def prepare(self, workload: Workload, send: Array, recv: Array) -> Call:
        """One call of NCCL on the device's stream."""
        call: Call = self.comm.call(workload, send, recv, self.device.stream.ptr)
        return call

    def transport(self) -> str:
        """What NCCL takes from this rank to others; members only, after a call."""
        return str(self.comm.transport())

    def release(self) -> None:
        """Calls hold nothing."""

    def close(self) -> None:
        """Destroy the communicator."""
        if self.comm is not None:
            self.comm.close()
