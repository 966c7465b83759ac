"""Every file in kernels/ as a backend: compiled for the workload, launched on the shared communicator."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from collbench import backends
from collbench.backends import mpi_nvrar
from collbench.environment import gpu_missing
from collbench.errors import CannotRunError, UsageError, pick
from collbench.kernel_files import Broken, KernelFile, find_kernels, value
from collbench.kernel_launch import KernelCall, Launch
from collbench.layout import Layout
from collbench.patterns import Emulator, Values

if TYPE_CHECKING:
    from collbench.backends import Opening
    from collbench.device import Array, Call, Device
    from collbench.plan import Workload
    from collbench.symmetric import Communicator
    from collbench.world import World

COMMUNICATOR = "communicator of the kernels"
SLACK = 4 << 20  # slots are cut to whole tiles, shards to whole cells
KNOBS = ("blocks", "threads", "pdl")
# Epochs are the flags of cells, in 32 bits; 0 is no flag.
FIRST_EPOCH, LAST_EPOCHS = 2, (1 << 32) - 6
NEAR_WRAP = "epoch near its wrap"


def plain(define: str) -> str:
    """The name that users give to a compile-time parameter: ``COLL_BATCH`` is ``batch``."""
    return define.removeprefix("COLL_").lower()


def names() -> list[str]:
    """Names of all kernels."""
    return list(find_kernels())


def find(name: str) -> Any:
    """The kernel called ``name`` as a backend."""
    file = find_kernels()[name]
    if isinstance(file, Broken):
        from collbench.backends import Unusable

        return Unusable(file.reason, DEVICE="gpu")
    return KernelBackend(file, {})


def flat_sum(inputs: Values, layout: Layout, op: str) -> Values:
    """The order ``flat``: all places in turn, 16-bit floats in fp32, one rounding. (ranks, n) -> (n,)."""
    return mpi_nvrar.node_sum(inputs[np.argsort(layout.nodes, kind="stable")], mpi_nvrar.COMBINE[op])


ORDERS = {"flat": flat_sum, "nvrar": mpi_nvrar.three_phases}


def order_of(file: KernelFile, work: Workload) -> Emulator | None:
    """The order of additions that a kernel documents."""
    return partial(ORDERS[file.order], layout=work.layout, op=work.op) if file.order else None


def flagged(file: KernelFile, work: Workload) -> bool:
    """Whether cells carry flags: whole numbers have no bit pattern to spare for Lamport's."""
    return file.cell == "ll" or not work.dtype.is_float


def formula(text: str, work: Workload, size: int) -> float:
    """A formula of a kernel's header for a message of ``size`` bytes, without the flags that cells carry."""
    layout = work.layout
    return value(text, P=layout.size, G=layout.per_node or layout.size, N=layout.node_count, S=size)


@dataclass(frozen=True)
class KernelBackend:
    """One kernel, with the parameters that were asked for; the others are chosen by size. Implements ``Backend``."""

    file: KernelFile
    parameters: Mapping[str, int]
    DEVICE: str = "gpu"

    @property
    def SUMMARY(self) -> str:  # noqa: N802 (the protocol's name)
        """What it times."""
        return self.file.summary

    def configured(self, parameters: Mapping[str, str]) -> KernelBackend:
        """This kernel with ``blocks``, ``threads``, ``pdl`` (0 or 1) or one of its own parameters fixed."""
        own = {plain(name): name for name in self.file.defines}
        chosen: dict[str, int] = {}
        for name, text in parameters.items():
            known = pick(f"parameter of {self.file.name}", name, [*KNOBS, *own])
            if not text.isdecimal():
                raise UsageError(f"{self.file.name}: {name}={text!r} is not a whole number.")
            chosen[own.get(known, known)] = int(text)
        return replace(self, parameters=chosen)

    def missing(self) -> str | None:
        """A GPU, NVSHMEM and the compiler's libraries."""
        from collbench import kernels

        return gpu_missing(nvshmem="nvshmem4py-cu13") or kernels.missing()

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
        if file.max_ranks and work.layout.size > file.max_ranks:
            return f"{file.name} takes {file.max_ranks} ranks at most"
        if file.max_bytes and work.bytes > file.max_bytes:
            return f"{file.name} is for messages up to {file.max_bytes} bytes"
        return None

    def emulate(self, work: Workload) -> Emulator | None:
        """The order that the file's header names."""
        return order_of(self.file, work)

    def wire_bytes(self, work: Workload) -> float | None:
        """Bytes that a rank sends, flags included."""
        return formula(self.file.wire, work, work.bytes) * (2 if flagged(self.file, work) else 1)

    def candidates(self, work: Workload) -> tuple[str, ...]:
        """Launch shapes worth trying: what it takes by itself, then every combination that leaves no block idle."""
        file = self.file
        shapes = []
        for blocks, threads, *values in product(file.blocks, file.threads, *file.defines.values()):
            batch = dict(zip(file.defines, values, strict=True)).get("COLL_BATCH", 1)
            if blocks == 1 or (blocks // 2) * threads * batch < self._cells(work):
                shapes.append({"blocks": blocks, "threads": threads} | dict(zip(file.defines, values, strict=True)))
        tails = [":".join(f"{plain(name)}={number}" for name, number in shape.items()) for shape in shapes]
        return (file.name, *(f"{file.name}:{tail}" for tail in tails))

    def _cells(self, work: Workload) -> int:
        """Cells that the threads of a rank share: of the message, or of a shard."""
        payload = 8 if flagged(self.file, work) else 16
        parts = 1 if self.file.order == "flat" else work.layout.per_node or 1
        return -(-work.bytes // payload // parts)

    def shape(self, work: Workload) -> dict[str, int]:
        """Parameters of a launch: as given, else the fewest threads a block with which one round is enough, and as many
        blocks as have work in it."""
        shape = {name: values[0] for name, values in self.file.defines.items()} | dict(self.parameters)
        cells, batch, most = self._cells(work), shape.get("COLL_BATCH", 1), max(self.file.blocks)
        enough = (threads for threads in sorted(self.file.threads) if threads * batch * most >= cells)
        shape.setdefault("threads", next(enough, max(self.file.threads)))
        shape.setdefault("blocks", max(1, min(most, -(-cells // (shape["threads"] * batch)))))
        shape.setdefault("pdl", 1)
        return shape

    def open(self, world: World, device: Device, arena_bytes: int) -> Session:
        """The communicator that all kernels on this world share."""
        return Session(self, world, device, device.arena(arena_bytes), open_communicator(world, device))

    @property
    def WAYS(self) -> Mapping[str, Opening]:  # noqa: N802 (the protocol's name)
        """A communicator whose flags are about to be used up."""
        return {NEAR_WRAP: self._open_near_wrap}

    def _open_near_wrap(self, world: World, device: Device, arena_bytes: int) -> backends.Session:
        open_communicator(world, device, LAST_EPOCHS)
        return self.open(world, device, arena_bytes)


def open_communicator(world: World, device: Any, first_epoch: int = FIRST_EPOCH) -> Communicator:
    """The communicator that all kernels on ``world`` share; collective over the launch. ``first_epoch`` is where it
    begins to count calls, if this call makes it."""
    from collbench.symmetric import Communicator

    found: Communicator = world.once(COMMUNICATOR, lambda: Communicator(world, device, first_epoch))
    return found


@dataclass(frozen=True)
class Session:
    """A kernel that is open on one world."""

    backend: KernelBackend
    world: World
    device: Any
    arena: Array
    comm: Communicator

    def prepare(self, work: Workload, send: Array, recv: Array) -> Call:
        """One launch, or several where the scratch does not hold the message."""
        backend, comm = self.backend, self.comm
        if backend.file.nodes == "one" and not all(comm.addresses):
            raise CannotRunError(f"{backend.file.name} needs loads and stores between all ranks, and some do not reach")
        shape = backend.shape(work)
        defines, step = self._defines(work, shape), self._piece(work)
        function = comm.function(backend.file.symbol, tuple(defines.items()), lambda: self._cubin(defines))
        pieces = [comm.args(send[at:], recv[at:], min(step, work.count - at)) for at in range(0, work.count, step)]
        return KernelCall(
            [Launch(function, piece, shape, self.device.stream.ptr) for piece in pieces],
            {plain(name): str(number) for name, number in shape.items()},
            backend.wire_bytes(work),
        )

    def _piece(self, work: Workload) -> int:
        """Elements that the scratch holds."""
        from collbench.symmetric import FLAGGED_HALF, LAMPORT_HALF

        with_flags = flagged(self.backend.file, work)
        half = FLAGGED_HALF // 2 if with_flags else LAMPORT_HALF
        size = (half - SLACK) / formula(self.backend.file.scratch, work, 1)
        return int(size) // 65536 * 65536 // work.dtype.itemsize

    def _cubin(self, defines: Mapping[str, str | int]) -> bytes:
        """The compiled kernel: rank 0 compiles it or has it in its cache, the others get it from there."""
        from collbench import kernels

        cubin, error = b"", ""
        if self.world.rank == 0:
            try:
                cubin = kernels.load_or_build(self.backend.file, defines, self.device.arch)
            except RuntimeError as mistake:
                error = str(mistake)
        cubin, error = self.world.bcast((cubin, error))
        if error:
            raise RuntimeError(error)
        return cubin

    def _defines(self, work: Workload, shape: Mapping[str, int]) -> dict[str, str | int]:
        from collbench.symmetric import FLAGGED_HALF, LAMPORT_HALF, args_type

        layout = work.layout
        own = {name: number for name, number in shape.items() if name in self.backend.file.defines}
        return {
            "COLL_DTYPE": work.dtype.name, "COLL_OP": work.op,
            "COLL_NODES": layout.node_count, "COLL_LOCAL": layout.per_node or 1,
            "COLL_FLAGGED": int(flagged(self.backend.file, work)), "COLL_THREADS": shape["threads"],
            "COLL_FLAGGED_HALF": FLAGGED_HALF, "COLL_LAMPORT_HALF": LAMPORT_HALF,
            "COLL_ARGS_BYTES": ctypes.sizeof(args_type(layout.size)), **own,
        }  # fmt: skip

    def release(self) -> None:
        """Calls hold nothing."""

    def close(self) -> None:
        """The communicator belongs to the world."""
