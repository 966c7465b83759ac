"""Every kernel file as a backend: compiled for the problem, launched on the communicator shared by all kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from collbench.backends import Backend, ExactOrder, Opening, Session, mpi_nvrar
from collbench.backends._point_to_point import combine_of, node_sum, sum_of_nodes
from collbench.backends._specs import split
from collbench.devices.device import Values
from collbench.errors import UsageError
from collbench.host.gpus import gpu_count, gpu_missing
from collbench.kernels import session
from collbench.kernels.files import Broken, find_kernels, own_folder
from collbench.kernels.header import KernelFile
from collbench.kernels.kernel import Kernel
from collbench.kernels.revisions import kernel_at, own_kernels
from collbench.plan import rms_norm
from collbench.plan.layout import Layout

if TYPE_CHECKING:
    from collbench.devices.device import Device
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

NEAR_WRAP = "epoch near its wrap"


def device() -> str:
    """Where kernels run: "gpu" on a machine with GPUs, else "cpu"."""
    return "gpu" if gpu_count() else "cpu"


def missing() -> str | None:
    """What this machine lacks to run kernels (NVSHMEM, NVIDIA's compiler libraries, a C++ compiler), or None."""
    from collbench.kernels import host_compiler, nvrtc

    if device() == "cpu":
        return host_compiler.missing()
    return gpu_missing(nvshmem="nvshmem4py-cu13") or nvrtc.missing()


def own_names(label: str = "") -> list[str]:
    """Names of the kernels that come with collbench, from which ``nvrar`` chooses; with ``label``, of that revision."""
    if label:
        return list(own_kernels(label))
    return [name for name, file in find_kernels().items() if file.path.parent == own_folder().resolve()]


def find(spec: str) -> KernelBackend:
    """The kernel and parameters that ``spec`` names; raises UsageError where the kernel cannot be used."""
    parts = split(spec)
    file = kernel_at(parts.name, parts.label) if parts.label else find_kernels()[parts.name]
    if isinstance(file, Broken):
        raise UsageError(file.reason)
    return KernelBackend(Kernel(file).configured(parts.parameters))


def flat_sum(inputs: Values, layout: Layout, op: str) -> Values:
    """The result in order ``flat``: places in sequence, 16-bit floats in fp32, one rounding. (ranks, n) -> (n,)."""
    return node_sum(inputs[list(layout.places)], combine_of(op))


def flat_residual(contributions: Values, layout: Layout, op: str) -> Values:
    """The residual in order ``flat``: the ranks' in order of places, then the old one, in fp32 with one rounding.
    (ranks + 1, n) -> (n,)."""
    return rms_norm.flat_residual(contributions[list(layout.places)], contributions[-1])


def joined_residual(contributions: Values, layout: Layout, op: str) -> Values:
    """The residual in order ``nvrar``: the old one is one more addend of the last addition of the three phases, before
    its rounding. On one node this is the order ``flat``. (ranks + 1, n) -> (n,)."""
    addends = mpi_nvrar.last_addends(contributions[:-1], layout, op)
    return rms_norm.flat_residual(addends, contributions[-1])


ORDERS = {"flat": flat_sum, "nodes": sum_of_nodes, "nvrar": mpi_nvrar.three_phases}
NORM_ORDERS = {"flat": flat_residual, "nvrar": joined_residual}


def order_of(file: KernelFile, problem: Problem) -> ExactOrder | None:
    """The order of additions that the header of ``file`` documents, or None."""
    orders = NORM_ORDERS if problem.collective.normalises else ORDERS
    return partial(orders[file.order], layout=problem.layout, op=problem.op) if file.order else None


@dataclass(frozen=True)
class KernelBackend:
    """One kernel as a backend. Implements ``Backend``, ``Configurable``, ``Tunable``, ``ExactNorm``, ``OtherWays``."""

    kernel: Kernel

    @property
    def DEVICE(self) -> str:  # noqa: N802 (the protocol's name)
        """Where kernels run on this machine."""
        return device()

    @property
    def SUMMARY(self) -> str:  # noqa: N802 (the protocol's name)
        """The summary in the file's header."""
        return self.kernel.file.summary

    @property
    def WAYS(self) -> Mapping[str, Opening]:  # noqa: N802 (the protocol's name)
        """A communicator whose epoch is about to wrap."""
        return {NEAR_WRAP: self._open_near_wrap}

    def configured(self, parameters: Mapping[str, str]) -> Backend:
        """This kernel with these parameters fixed."""
        return KernelBackend(self.kernel.configured(parameters))

    def missing(self) -> str | None:
        """What this machine lacks to compile and run kernels, or None."""
        return missing()

    def refuses(self, problem: Problem) -> str | None:
        """Why the file's header excludes ``problem``, or None."""
        return self.kernel.refuses(problem)

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """The order of additions that the file's header names, or None."""
        return order_of(self.kernel.file, problem)

    @property
    def EXACT_NORM(self) -> bool:  # noqa: N802 (the protocol's name)
        """Whether the file's header names an order: that of rows is then the documented one too."""
        return self.kernel.file.order is not None

    def wire_bytes(self, problem: Problem) -> float | None:
        """Bytes that one rank sends per call, flags included."""
        return self.kernel.wire_bytes(problem)

    def candidates(self, problem: Problem) -> tuple[str, ...]:
        """Launch shapes to try, the default first."""
        return self.kernel.candidates(problem)

    def open(self, world: World, device: Device, arena_bytes: int) -> Session:
        """A session on the communicator shared by all kernels on ``world``."""
        return session.open_session(self.kernel, world, device, arena_bytes)

    def _open_near_wrap(self, world: World, device: Device, arena_bytes: int) -> Session:
        session.open_near_wrap(world, device)
        return self.open(world, device, arena_bytes)
