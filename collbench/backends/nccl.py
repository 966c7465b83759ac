"""NCCL as its users get it: default tuning, buffers that we do not register.

The memory comes from ncclMemAlloc, so in a CUDA graph NCCL registers it by itself (NCCL_GRAPH_REGISTER, on by default).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from collbench.host.gpus import gpu_missing

if TYPE_CHECKING:
    from collbench.backends import ExactOrder
    from collbench.devices.device import Array, Call, Device
    from collbench.devices.gpu import Gpu
    from collbench.devices.nccl import NcclCommunicator
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

DEVICE = "gpu"
SUMMARY = "NCCL with default tuning"


def missing() -> str | None:
    """A GPU and nccl4py."""
    return gpu_missing()


def refuses(problem: Problem) -> str | None:
    """NCCL has every collective here, for every type."""
    return None


def exact_order(problem: Problem) -> ExactOrder | None:
    """NCCL's order depends on the algorithm it picks."""
    return None


def wire_bytes(problem: Problem) -> float | None:
    """NCCL does not say."""
    return None


def open(world: World, device: Device, arena_bytes: int) -> NcclSession:
    """A communicator over the world, memory from ncclMemAlloc."""
    from collbench.devices.nccl import NcclCommunicator

    return NcclSession(
        cast("Gpu", device), device.arena(arena_bytes), NcclCommunicator(world) if world.member else None
    )


@dataclass(frozen=True)
class NcclSession:
    """A communicator on one world; ``comm`` is None on ranks that sit out."""

    device: Gpu
    arena: Array
    comm: NcclCommunicator | None

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """One call of NCCL on the device's stream."""
        assert self.comm is not None, "members only"
        return self.comm.call(problem, send, recv, self.device.stream.ptr)

    def transport(self) -> str:
        """What NCCL takes from this rank to others; members only, after a call."""
        assert self.comm is not None, "members only"
        return self.comm.transport()

    def release(self) -> None:
        """Calls hold nothing."""

    def close(self) -> None:
        """Destroy the communicator."""
        if self.comm is not None:
            self.comm.close()
