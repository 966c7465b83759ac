"""Every kernel file as a backend: compiled for the problem, launched on the communicator that all kernels share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from collbench.backends import Backend, ExactOrder, Opening, Session, mpi_nvrar
from collbench.backends._point_to_point import combine_of
from collbench.backends._specs import split
from collbench.devices.device import Values
from collbench.errors import UsageError
from collbench.host.gpus import gpu_count, gpu_missing
from collbench.kernels import session
from collbench.kernels.files import Broken, find_kernels, own_folder
from collbench.kernels.header import KernelFile
from collbench.kernels.kernel import Kernel
from collbench.plan.layout import Layout

if TYPE_CHECKING:
    from collbench.devices.device import Device
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

NEAR_WRAP = "epoch near its wrap"


def device() -> str:
    """Where kernels run: on GPUs where there are some, else on processors."""
    return "gpu" if gpu_count() else "cpu"


def missing() -> str | None:
    """What this machine lacks to run kernels: NVSHMEM and NVIDIA's compiler libraries, or a C++ compiler."""
    from collbench.kernels import host_compiler, nvrtc

    if device() == "cpu":
        return host_compiler.missing()
    return gpu_missing(nvshmem="nvshmem4py-cu13") or nvrtc.missing()


def own_names() -> list[str]:
    """Names of the kernels that come with collbench: ``nvrar`` picks among them."""
    return [name for name, file in find_kernels().items() if file.path.parent == own_folder().resolve()]


def find(spec: str) -> KernelBackend:
    """The kernel that ``spec`` names, with its parameters; raises UsageError where it cannot be used."""
    name, parameters = split(spec)
    file = find_kernels()[name]
    if isinstance(file, Broken):
        raise UsageError(file.reason)
    return KernelBackend(Kernel(file).configured(parameters))


def flat_sum(inputs: Values, layout: Layout, op: str) -> Values:
    """The order ``flat``: all places in turn, 16-bit floats in fp32, one rounding. (ranks, n) -> (n,)."""
    return mpi_nvrar.node_sum(inputs[list(layout.places)], combine_of(op))


ORDERS = {"flat": flat_sum, "nvrar": mpi_nvrar.three_phases}


def order_of(file: KernelFile, problem: Problem) -> ExactOrder | None:
    """The order of additions that a kernel documents."""
    return partial(ORDERS[file.order], layout=problem.layout, op=problem.op) if file.order else None


@dataclass(frozen=True)
class KernelBackend:
    """One kernel as a backend. Implements ``Backend``, ``Configurable``, ``Tunable`` and ``OtherWays``."""

    kernel: Kernel

    @property
    def DEVICE(self) -> str:  # noqa: N802 (the protocol's name)
        """GPUs where there are some, else the processor."""
        return device()

    @property
    def SUMMARY(self) -> str:  # noqa: N802 (the protocol's name)
        """What it times."""
        return self.kernel.file.summary

    @property
    def WAYS(self) -> Mapping[str, Opening]:  # noqa: N802 (the protocol's name)
        """A communicator whose flags are about to be used up."""
        return {NEAR_WRAP: self._open_near_wrap}

    def configured(self, parameters: Mapping[str, str]) -> Backend:
        """This kernel with some of its parameters fixed."""
        return KernelBackend(self.kernel.configured(parameters))

    def missing(self) -> str | None:
        """What a machine needs to compile and run kernels."""
        return missing()

    def refuses(self, problem: Problem) -> str | None:
        """What the file's header does not declare."""
        return self.kernel.refuses(problem)

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """The order that the file's header names."""
        return order_of(self.kernel.file, problem)

    def wire_bytes(self, problem: Problem) -> float | None:
        """Bytes that a rank sends, flags included."""
        return self.kernel.wire_bytes(problem)

    def candidates(self, problem: Problem) -> tuple[str, ...]:
        """Launch shapes worth trying, its own choice first."""
        return self.kernel.candidates(problem)

    def open(self, world: World, device: Device, arena_bytes: int) -> Session:
        """The communicator that all kernels on this world share."""
        return session.open_session(self.kernel, world, device, arena_bytes)

    def _open_near_wrap(self, world: World, device: Device, arena_bytes: int) -> Session:
        session.open_near_wrap(world, device)
        return self.open(world, device, arena_bytes)
