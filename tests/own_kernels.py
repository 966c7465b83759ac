"""What tests of our compiled kernels share: variants, compiled in this process once."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from compiled import note_compiled
from kernel_files import ours
from samples import a_layout, a_problem

from collbench import registry
from collbench.backends import _kernels
from collbench.backends._kernels import KernelBackend
from collbench.kernels import abi, nvrtc
from collbench.kernels.abi import ON_GPU
from collbench.kernels.cubin import Resources, resources
from collbench.kernels.header import KernelFile
from collbench.kernels.kernel import Kernel, plain
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.layout import Layout

ARCHS = ("sm_80", "sm_90", "sm_100")
TWO_NODES, ONE_NODE = a_layout(8, nodes=2), a_layout(8)
KERNELS = tuple(_kernels.own_names())
PUTS = tuple(name for name in KERNELS if ours(name).file.nodes == "any")
OF_ROWS = tuple(name for name in KERNELS if ours(name).file.collective == "all_reduce_rms_norm")
MARKS = {"COLL_MARKS": abi.MARKS}


@dataclass(frozen=True)
class Variant:
    """What a kernel is compiled for; ``shape``: its launch, where that is not the default with the largest blocks."""

    name: str
    dtype: str
    arch: str
    layout: Layout = TWO_NODES
    op: str = "sum"
    shape: tuple[tuple[str, int], ...] = ()
    marked: bool = False
    hidden: int = 4096  # elements of a row, where the kernel normalises rows

    @property
    def backend(self) -> Kernel:
        """The kernel with this launch shape. Of all blocks the largest have the fewest registers."""
        found = kernel(self.name)
        return Kernel(found.file, {"threads": max(found.file.threads), **dict(self.shape)})

    def words(self) -> str:
        """What is not the default about it."""
        shape = [f"{plain(name)}={number}" for name, number in self.shape]
        rows = [f"rows of {self.hidden}"] if self.name in OF_ROWS else []
        return " ".join([*shape, *rows, *([self.op] if self.op != "sum" else []), *(["phases"] if self.marked else [])])


def kernel(name: str) -> Kernel:
    """One of ours."""
    found = registry.find(name)
    assert isinstance(found, KernelBackend), found
    return found.kernel


@functools.cache
def tools() -> nvrtc.Toolchain:
    """What is installed, looked for once."""
    return nvrtc.toolchain()


@functools.cache
def compiled(variant: Variant) -> bytes:
    """The cubin that a session would load; compiled in this process, since one for each would take twice as long."""
    backend = variant.backend
    kind, hidden = backend.file.collective, variant.hidden if variant.name in OF_ROWS else 0
    op = variant.op if COLLECTIVES[kind].reduces else ""
    problem = a_problem(kind, variant.dtype, layout=variant.layout, op=op, hidden=hidden, size=1 << 20)
    options = backend.defines(problem, backend.shape(problem), ON_GPU)
    job = nvrtc._job(backend.file, {**options, **(MARKS if variant.marked else {})}, variant.arch, tools())
    cubin: bytes = nvrtc._compile_and_link(job)
    row = (variant.name, variant.dtype, str(variant.layout), variant.words())
    note_compiled(row, variant.arch, resources(cubin))
    return cubin


def spilling(variants: Iterable[Variant]) -> dict[Variant, Resources]:
    """Those that keep anything of a thread in memory: spilled registers, or an array that is indexed at run time."""
    found = {each: resources(compiled(each)) for each in variants}
    assert {needs.entry for needs in found.values()} == {each.name.replace("-", "_") for each in found}
    return {each: needs for each, needs in found.items() if needs.local_bytes}


def everywhere(name: str) -> list[Variant]:
    """A kernel for all types on one architecture, and two types on the others. NVSHMEM's headers take six times as long
    as a kernel: with them, for the narrowest and the widest type, and for each architecture one kernel."""
    if name in PUTS:
        arch = {"nvrar-put": "sm_80", "nvrar-put-lamport": "sm_100"}.get(name, "sm_90")
        siblings = name.startswith("nvrar-put-")  # their int64 has the cells of nvrar-put
        widest = [] if siblings else [Variant(name, "int64", "sm_90")]
        return [Variant(name, "bfloat16", arch), *widest]
    all_types = kernel(name).file.dtypes
    some = [each for each in all_types if each in ("bfloat16", "float64")]
    return [Variant(name, dtype, arch) for arch in ARCHS for dtype in (all_types if arch == "sm_90" else some)]


def shapes(file: KernelFile) -> list[tuple[tuple[str, int], ...]]:
    """Every combination of threads and defines that a header lists."""
    values = product(file.threads, *file.defines.values())
    return [tuple(zip(("threads", *file.defines), each, strict=True)) for each in values]
