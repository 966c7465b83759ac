"""An all-reduce and then a residual add and RMSNorm: the unfused forms of ``all_reduce_rms_norm``.

The all-reduce writes the rounded sum to where the normalised rows belong; the norm reads it there, as in engines, whose
norm updates the hidden states in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

from collbench.backends import DescribedCall, ExactOrder
from collbench.plan import rms_norm
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.problem import Problem

if TYPE_CHECKING:
    from collbench.devices.device import Array, Call, Device, Values
    from collbench.devices.gpu import Gpu
    from collbench.ranks.world import World

Prepare = Callable[[Problem, "Array", "Array"], "Call"]  # as in ``Session.prepare``


def plain(problem: Problem) -> Problem:
    """The all-reduce of the message of ``problem``, of whole rows."""
    return replace(problem, collective=COLLECTIVES["all_reduce"], hidden=0, size=problem.bytes)


def reduction(problem: Problem) -> Problem:
    """What a library is asked for: the all-reduce of a message of rows, or ``problem`` itself."""
    return plain(problem) if problem.collective.normalises else problem


@dataclass(frozen=True)
class InSequence:
    """The two calls, one after another; implements ``DescribedCall``: it is described by its all-reduce."""

    reduce: Call
    norm: Call

    def __call__(self) -> None:
        self.reduce()
        self.norm()

    @property
    def params(self) -> Mapping[str, str]:
        """Entries of the all-reduce."""
        return self.reduce.params if isinstance(self.reduce, DescribedCall) else {}

    @property
    def wire_bytes(self) -> float | None:
        """Bytes that the all-reduce sends, where it knows."""
        return self.reduce.wire_bytes if isinstance(self.reduce, DescribedCall) else None

    @property
    def marked(self) -> None:
        """None: the phases of two calls are not timed."""


def in_sequence(problem: Problem, send: Array, recv: Array, reduce: Prepare, norm: Prepare) -> InSequence:
    """The calls that ``reduce`` prepares for the message alone, and ``norm`` for all of ``problem``."""
    n = problem.count
    return InSequence(reduce(plain(problem), send[:n], recv[:n]), norm(problem, send, recv))


def after(order: ExactOrder, contributions: Values) -> Values:
    """The residual where it is added to the rounded result of an all-reduce of order ``order``, and rounded again.
    (ranks + 1, n) -> (n,)."""
    return rms_norm.flat_residual(order(contributions[:-1])[None], contributions[-1])


def norm_on_gpu(world: World, device: Device) -> Prepare:
    """The norm behind an all-reduce of a library; the kernel is shared by all backends of the world."""
    from collbench.kernels.gpu_norm import GpuNorm
    from collbench.kernels.norm import prepare_norm

    return partial(prepare_norm, world.once("norm kernel", lambda: GpuNorm(world, cast("Gpu", device))))


def norm_on_host(problem: Problem, send: Array, recv: Array) -> Call:
    """The norm in numpy."""
    import numpy as np

    weight = send[problem.count :]
    rows, residual = recv.reshape(2, -1, problem.hidden)

    def call() -> None:
        with np.errstate(all="ignore"):
            residual[...] = rms_norm.flat_residual(rows[None], residual)
            rows[...] = rms_norm.normalised(residual, weight)

    return call
