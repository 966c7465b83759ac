"""NVRAR's all-reduce, and then residual add and RMSNorm in a kernel of its own: what fusing the two has to beat.

On GPUs both launches overlap with their predecessors, as those of the fused kernels do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from collbench.backends import ExactOrder, _kernels, nvrar
from collbench.backends._unfused import after, in_sequence, plain
from collbench.kernels.norm import prepare_norm
from collbench.kernels.session import Communicator, open_communicator
from collbench.plan.refusals import other_collective

if TYPE_CHECKING:
    from collbench.devices.device import Array, Call, Device
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

DEVICE = _kernels.device()
SUMMARY = "nvrar's all-reduce, then residual add and RMSNorm in a second kernel: what fusing them has to beat"
EXACT_NORM = True
ONLY = ("all_reduce_rms_norm",)


def missing() -> str | None:
    """What this machine lacks to run kernels, or None."""
    return _kernels.missing()


def refuses(problem: Problem) -> str | None:
    """Why it cannot run ``problem``, or None: it has one collective, wherever ``nvrar`` has the all-reduce."""
    return other_collective("nvrar-unfused", problem, *ONLY) or nvrar.refuses(plain(problem))


def exact_order(problem: Problem) -> ExactOrder | None:
    """The order of ``nvrar``, whose rounded result the residual is added to."""
    order = nvrar.exact_order(plain(problem))
    return partial(after, order) if order else None


def wire_bytes(problem: Problem) -> float | None:
    """Bytes that the all-reduce sends."""
    return nvrar.wire_bytes(plain(problem))


def open(world: World, device: Device, arena_bytes: int) -> UnfusedSession:
    """A session on the communicator that all kernels share."""
    return UnfusedSession(nvrar.open(world, device, arena_bytes), open_communicator(world, device))


@dataclass(frozen=True)
class UnfusedSession:
    """``nvrar`` open on one world, and the communicator that launches the norm; implements ``Session``."""

    nvrar: nvrar.NvrarSession
    comm: Communicator

    @property
    def arena(self) -> Array:
        """The memory of ``nvrar``."""
        return self.nvrar.arena

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """The all-reduce that ``nvrar`` chooses, and the norm."""
        return in_sequence(problem, send, recv, self.nvrar.prepare, partial(prepare_norm, self.comm))

    def transport(self) -> str:
        """The transports of kernels from this rank."""
        return self.nvrar.transport()

    def release(self) -> None:
        """Does nothing: calls hold no resources."""

    def close(self) -> None:
        """Does nothing: the world closes the communicator."""
