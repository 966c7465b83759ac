"""NCCL's symmetric-memory kernels over registered windows: the strongest NCCL.

Registration alone proves nothing: NCCL falls back silently. So every call is captured once and the names of its
kernels are read; where none is symmetric, the case is skipped and says what NCCL took instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from collbench.errors import CannotRunError
from collbench.host.gpus import gpu_missing

if TYPE_CHECKING:
    from collbench.backends import ExactOrder
    from collbench.devices.device import Array, Call, Device
    from collbench.devices.gpu import Gpu
    from collbench.devices.nccl import NcclCommunicator
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

DEVICE = "gpu"
SUMMARY = "NCCL's symmetric-memory kernels, over registered windows"
SYMMETRIC = "ncclSym"  # in the name of every such kernel (NCCL, src/device/symmetric/generate.py)


def missing() -> str | None:
    """A GPU and nccl4py."""
    return gpu_missing()


def refuses(problem: Problem) -> str | None:
    """What NCCL 2.28 has symmetric kernels for (src/device/symmetric/generate.py)."""
    name = problem.collective.name
    if name not in ("all_reduce", "reduce_scatter", "all_gather"):
        return f"NCCL has no symmetric kernel for {name}"
    if problem.op not in ("", "sum"):
        return f"NCCL's symmetric kernels sum; they have no {problem.op}"
    if problem.op and problem.dtype.name not in ("float16", "bfloat16", "float32"):
        return f"NCCL's symmetric kernels do not reduce {problem.dtype.name}"
    return None


def exact_order(problem: Problem) -> ExactOrder | None:
    """NCCL's order depends on the kernel it picks."""
    return None


def wire_bytes(problem: Problem) -> float | None:
    """NCCL does not say."""
    return None


def open(world: World, device: Device, arena_bytes: int) -> SymmetricSession:
    """A communicator of its own, with the shared arena registered as a symmetric window in it."""
    from collbench.devices.nccl import NcclCommunicator

    arena = device.arena(arena_bytes)
    comm = NcclCommunicator(world) if world.member else None
    if comm is not None:
        comm.register(arena)
    return SymmetricSession(cast("Gpu", device), arena, comm, world.is_local)


@dataclass(frozen=True)
class SymmetricSession:
    """A communicator with a registered window; ``comm`` is None on ranks that sit out."""

    device: Gpu
    arena: Array
    comm: NcclCommunicator | None
    one_host: bool

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """One call of NCCL, proven to take a symmetric kernel."""
        assert self.comm is not None, "members only"
        call = self.comm.call(problem, send, recv, self.device.stream.ptr)
        taken = self.device.kernels(call)
        if not any(name.startswith(SYMMETRIC) for name in taken):
            raise CannotRunError(f"NCCL took {', '.join(taken) or 'no kernel'} instead of a symmetric one")
        return call

    def transport(self) -> str:
        """What NCCL takes from this rank to others; members only, after a call. Its symmetric kernels, which every call
        is proven to take, load and store between the GPUs of a host: they open no channel that NCCL would tell of."""
        assert self.comm is not None, "members only"
        return "p2p" if self.one_host else self.comm.transport()

    def release(self) -> None:
        """Calls hold nothing."""

    def close(self) -> None:
        """Deregister and destroy."""
        if self.comm is not None:
            self.comm.close()
