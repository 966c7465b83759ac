"""NCCL with its defaults: default tuning, and buffers that collbench does not register. Where rows are normalised, a
kernel of ours follows its all-reduce.

Memory comes from ncclMemAlloc, so in a CUDA graph NCCL registers it (NCCL_GRAPH_REGISTER, on by default).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from collbench.backends._unfused import in_sequence, norm_on_gpu
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
EXACT_NORM = True


def missing() -> str | None:
    """Why this machine cannot run it: no GPU or no nccl4py; or None."""
    return gpu_missing()


def refuses(problem: Problem) -> str | None:
    """None: NCCL has every collective for every type."""
    return None


def exact_order(problem: Problem) -> ExactOrder | None:
    """None: the order depends on the algorithm that NCCL picks."""
    return None


def wire_bytes(problem: Problem) -> float | None:
    """None: NCCL does not report it."""
    return None


def open(world: World, device: Device, arena_bytes: int) -> NcclSession:
    """A session with its own communicator and memory from ncclMemAlloc."""
    from collbench.devices.nccl import NcclCommunicator

    comm = NcclCommunicator(world) if world.member else None
    return NcclSession(world, cast("Gpu", device), device.arena(arena_bytes), comm)


@dataclass(frozen=True)
class NcclSession:
    """A communicator on one world; ``comm`` is None on ranks outside it."""

    world: World
    device: Gpu
    arena: Array
    comm: NcclCommunicator | None

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """One NCCL call on the device's stream, and the norm behind it where rows are normalised."""
        if problem.collective.normalises:
            return in_sequence(problem, send, recv, self.prepare, norm_on_gpu(self.world, self.device))
        assert self.comm is not None, "members only"
        return self.comm.call(problem, send, recv, self.device.stream.ptr)

    def transport(self) -> str:
        """NCCL's transports from this rank; members only, after a call."""
        assert self.comm is not None, "members only"
        return self.comm.transport()

    def release(self) -> None:
        """Does nothing: calls hold no resources."""

    def close(self) -> None:
        """Destroy the communicator."""
        if self.comm is not None:
            self.comm.close()
