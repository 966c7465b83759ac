"""NCCL's symmetric-memory kernels over registered windows: the fastest NCCL.

Despite registration NCCL may fall back silently. Every call is therefore captured once to read the names of its
kernels; where none is symmetric, the case is skipped, and its reason names the kernels that NCCL chose. Where rows are
normalised, a kernel of ours follows its all-reduce.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from collbench.backends._unfused import in_sequence, norm_on_gpu, reduction
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
EXACT_NORM = True
SYMMETRIC = "ncclSym"  # in the name of every such kernel (NCCL, src/device/symmetric/generate.py)


def missing() -> str | None:
    """Why this machine cannot run it: no GPU or no nccl4py; or None."""
    return gpu_missing()


def refuses(problem: Problem) -> str | None:
    """Why NCCL 2.28 has no symmetric kernel for ``problem`` (src/device/symmetric/generate.py), or None."""
    name = reduction(problem).collective.name
    if name not in ("all_reduce", "reduce_scatter", "all_gather"):
        return f"NCCL has no symmetric kernel for {name}"
    if problem.op not in ("", "sum"):
        return f"NCCL's symmetric kernels support sum only, not {problem.op}"
    if problem.op and problem.dtype.name not in ("float16", "bfloat16", "float32"):
        return f"NCCL's symmetric kernels do not support reductions of {problem.dtype.name}"
    return None


def exact_order(problem: Problem) -> ExactOrder | None:
    """None: the order depends on the kernel that NCCL picks."""
    return None


def wire_bytes(problem: Problem) -> float | None:
    """None: NCCL does not report it."""
    return None


def open(world: World, device: Device, arena_bytes: int) -> SymmetricSession:
    """A session with its own communicator, in which the shared arena is registered as a symmetric window."""
    from collbench.devices.nccl import NcclCommunicator

    arena = device.arena(arena_bytes)
    comm = NcclCommunicator(world) if world.member else None
    if comm is not None:
        comm.register(arena)
    return SymmetricSession(world, cast("Gpu", device), arena, comm)


@dataclass(frozen=True)
class SymmetricSession:
    """A communicator with a registered window; ``comm`` is None on ranks outside the world."""

    world: World
    device: Gpu
    arena: Array
    comm: NcclCommunicator | None

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """One NCCL call that launches a symmetric kernel, and the norm behind it where rows are normalised; raises
        CannotRunError where NCCL chose another."""
        if problem.collective.normalises:
            return in_sequence(problem, send, recv, self.prepare, norm_on_gpu(self.world, self.device))
        assert self.comm is not None, "members only"
        call = self.comm.call(problem, send, recv, self.device.stream.ptr)
        chosen = self.device.kernels(call)
        if not any(name.startswith(SYMMETRIC) for name in chosen):
            raise CannotRunError(f"NCCL chose {', '.join(chosen) or 'no kernel'} instead of a symmetric kernel")
        return call

    def transport(self) -> str:
        """NCCL's transports from this rank; members only, after a call. Within a host they are known: symmetric kernels
        load and store between GPUs and open no channel that NCCL would log."""
        assert self.comm is not None, "members only"
        return "p2p" if self.world.is_local else self.comm.transport()

    def release(self) -> None:
        """Does nothing: calls hold no resources."""

    def close(self) -> None:
        """Destroy the communicator, and the registration with it."""
        if self.comm is not None:
            self.comm.close()
