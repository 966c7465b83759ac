"""Every file in kernels/ as a backend: compiled for the workload, launched on the shared communicator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from collbench import backends
from collbench.backends import mpi_nvrar
from collbench.backends._point_to_point import COMBINE
from collbench.environment import gpu_count, gpu_missing
from collbench.errors import UsageError, pick
from collbench.formula import value
from collbench.kernel_files import MOST_BLOCKS, MOST_THREADS, Broken, KernelFile, find_kernels, own_folder
from collbench.layout import Layout
from collbench.patterns import Emulator, Values

if TYPE_CHECKING:
    from collbench.backends import Opening
    from collbench.device import Device
    from collbench.plan import Workload
    from collbench.world import World

FEW_ROUNDS = 4
RANGES = {"blocks": range(1, MOST_BLOCKS + 1), "threads": range(1, MOST_THREADS + 1), "pdl": range(2)}
MOST_RANKS = 255  # gates in common/args.cuh
NEAR_WRAP = "epoch near its wrap"


def plain(define: str) -> str:
    """The name that users give to a compile-time parameter: ``COLL_BATCH`` is ``batch``."""
    return define.removeprefix("COLL_").lower()


def device() -> str:
    """Where kernels run: on GPUs where there are some, else on processors."""
    return "gpu" if gpu_count() else "cpu"


def missing() -> str | None:
    """What this machine lacks to run kernels: NVSHMEM and NVIDIA's compiler libraries, or a C++ compiler."""
    from collbench import host_kernels, kernels

    if device() == "cpu":
        return host_kernels.missing()
    return gpu_missing(nvshmem="nvshmem4py-cu13") or kernels.missing()


def is_of_kernels(spec: str) -> bool:
    """Whether a backend is a kernel, or picks among them."""
    name = backends.split(spec)[0]
    return name == "nvrar" or name in names()


def names() -> list[str]:
    """Names of all kernels."""
    return list(find_kernels())


def own_names() -> list[str]:
    """Names of the kernels that come with collbench: ``nvrar`` picks among them."""
    return [name for name, file in find_kernels().items() if file.path.parent == own_folder().resolve()]


def hidden() -> dict[str, str]:
    """Kernels that no name leads to, and why: a backend is called the same."""
    found = find_kernels()
    return {
        name: f"{found[name].path}: {name!r} is a backend that is no kernel; rename the file"
        for name in found.keys() & set(backends.own_names())
    }


def find(name: str) -> Any:
    """The kernel called ``name`` as a backend."""
    file = find_kernels()[name]
    if isinstance(file, Broken):
        from collbench.backends import Unusable

        return Unusable(file.reason, DEVICE=device())
    return KernelBackend(file, {})


def flat_sum(inputs: Values, layout: Layout, op: str) -> Values:
    """The order ``flat``: all places in turn, 16-bit floats in fp32, one rounding. (ranks, n) -> (n,)."""
    return mpi_nvrar.node_sum(inputs[np.argsort(layout.nodes, kind="stable")], COMBINE[op])


ORDERS = {"flat": flat_sum, "nvrar": mpi_nvrar.three_phases}


def order_of(file: KernelFile, work: Workload) -> Emulator | None:
    """The order of additions that a kernel documents."""
    return partial(ORDERS[file.order], layout=work.layout, op=work.op) if file.order else None


@dataclass(frozen=True)
class KernelBackend:
    """One kernel, with the parameters that were asked for; the others are chosen by size. Implements ``Backend``."""

    file: KernelFile
    parameters: Mapping[str, int]

    @property
    def DEVICE(self) -> str:  # noqa: N802 (the protocol's name)
        """GPUs where there are some, else the processor."""
        return device()

    @property
    def SUMMARY(self) -> str:  # noqa: N802 (the protocol's name)
        """What it times."""
        return self.file.summary

    def configured(self, parameters: Mapping[str, str]) -> KernelBackend:
        """This kernel with ``blocks``, ``threads``, ``pdl`` (0 or 1) or one of its own parameters fixed."""
        own = {plain(name): name for name in self.file.defines}
        chosen: dict[str, int] = {}
        for name, text in parameters.items():
            known = pick(f"parameter of {self.file.name}", name, [*RANGES, *own])
            if not text.isdecimal():
                raise UsageError(f"{self.file.name}: {name}={text!r} is not a whole number.")
            allowed = RANGES[known] if known in RANGES else self.file.defines[own[known]]
            if int(text) not in allowed:
                told = f"from {allowed[0]} to {allowed[-1]}" if known in RANGES else " or ".join(map(str, allowed))
                raise UsageError(f"{self.file.name}: {name}={text} is not {told}.")
            chosen[own.get(known, known)] = int(text)
        return replace(self, parameters=chosen)

    def missing(self) -> str | None:
        """What a machine needs to compile and run kernels."""
        return missing()

    def refuses(self, work: Workload) -> str | None:
        """What the file's header does not declare."""
        file, layout = self.file, work.layout
        if work.collective.name != file.collective:
            return f"{file.name} is an {file.collective}, not a {work.collective.name}"
        if work.dtype.name not in file.dtypes:
            return f"{file.name} has no {work.dtype.name}; it has {', '.join(file.dtypes)}"
        if work.op not in file.ops:
            return f"{file.name} has no {work.op}; it has {', '.join(file.ops)}"
        if layout.per_node is None:
            return f"{file.name} needs the same number of ranks on every node"
        return self._too_large(work)

    def _too_large(self, work: Workload) -> str | None:
        file = self.file
        most = min(file.max_ranks or MOST_RANKS, MOST_RANKS)
        if work.layout.size > most:
            return f"{file.name} takes {most} ranks at most"
        if file.max_bytes and work.bytes > file.max_bytes:
            return f"{file.name} is for messages up to {file.max_bytes} bytes"
        return None

    def emulate(self, work: Workload) -> Emulator | None:
        """The order that the file's header names."""
        return order_of(self.file, work)

    def wire_bytes(self, work: Workload) -> float | None:
        """Bytes that a rank sends, flags included."""
        return self.formula(self.file.wire, work, work.bytes) * (2 if self.flagged(work) else 1)

    def candidates(self, work: Workload) -> tuple[str, ...]:
        """Launch shapes worth trying: what it takes by itself, then those that neither leave blocks idle nor give a
        thread much to do one after another while there could be more blocks."""
        file = self.file
        shapes = []
        for blocks, threads, *values in product(file.blocks, file.threads, *file.defines.values()):
            batch = dict(zip(file.defines, values, strict=True)).get("COLL_BATCH", 1)
            at_once, cells = blocks * threads * batch, self.cells(work)
            busy = blocks == min(file.blocks) or at_once // 2 < cells
            if busy and (at_once * FEW_ROUNDS >= cells or 2 * blocks >= max(file.blocks)):
                shapes.append({"blocks": blocks, "threads": threads} | dict(zip(file.defines, values, strict=True)))
        tails = [":".join(f"{plain(name)}={number}" for name, number in shape.items()) for shape in shapes]
        return (file.name, *(f"{file.name}:{tail}" for tail in tails))

    def flagged(self, work: Workload) -> bool:
        """Whether cells carry flags: whole numbers have no bit pattern to spare for Lamport's."""
        return self.file.cell == "ll" or not work.dtype.is_float

    def formula(self, text: str, work: Workload, size: int) -> float:
        """A formula of the header for a message of ``size`` bytes, without the flags that cells carry."""
        layout = work.layout
        return value(text, P=layout.size, G=layout.per_node or layout.size, N=layout.node_count, S=size)

    def cells(self, work: Workload) -> int:
        """Cells that the threads of a rank share: of the message, or of a shard."""
        payload = 8 if self.flagged(work) else 16
        return -(-work.bytes // payload // self.parts(work))

    def parts(self, work: Workload) -> int:
        """Shards that the message is cut into."""
        return 1 if self.file.order == "flat" else work.layout.per_node or 1

    def shape(self, work: Workload) -> dict[str, int]:
        """Parameters of a launch: as given, else the fewest threads a block with which one round is enough, and as many
        blocks as have work in it."""
        shape = {name: values[0] for name, values in self.file.defines.items()} | dict(self.parameters)
        cells, batch = self.cells(work), shape.get("COLL_BATCH", 1)
        most = shape.get("blocks", max(self.file.blocks))
        enough = (threads for threads in sorted(self.file.threads) if threads * batch * most >= cells)
        shape.setdefault("threads", next(enough, max(self.file.threads)))
        shape.setdefault("blocks", max(1, min(most, -(-cells // (shape["threads"] * batch)))))
        shape.setdefault("pdl", 1)
        return shape

    def open(self, world: World, device: Device, arena_bytes: int) -> backends.Session:
        """The communicator that all kernels on this world share."""
        if device.kind == "cpu":
            from collbench import cpu_session

            return cpu_session.open_session(self, world, device, arena_bytes)
        from collbench.kernel_session import Session, open_communicator

        return Session(self, world, device, device.arena(arena_bytes), open_communicator(world, device))

    @property
    def WAYS(self) -> Mapping[str, Opening]:  # noqa: N802 (the protocol's name)
        """A communicator whose flags are about to be used up."""
        return {NEAR_WRAP: self._open_near_wrap}

    def _open_near_wrap(self, world: World, device: Device, arena_bytes: int) -> backends.Session:
        open_near_wrap(world, device)
        return self.open(world, device, arena_bytes)


def open_near_wrap(world: World, device: Device) -> None:
    """Make the communicator of the kernels on ``world`` one whose flags are about to be used up."""
    if device.kind == "cpu":
        from collbench import cpu_session

        cpu_session.open_near_wrap(world)
    else:
        from collbench import kernel_session

        kernel_session.open_near_wrap(world, device)
