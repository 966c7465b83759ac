"""A kernel with its parameters, and what it asks for."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from collbench.kernels.abi import CELL, Scratch, args_type

if TYPE_CHECKING:
    from collbench.backends._kernels import KernelBackend
    from collbench.plan.problem import Workload


def defines(backend: KernelBackend, work: Workload, shape: Mapping[str, int], scratch: Scratch) -> dict[str, str | int]:
    """What a kernel is compiled with for ``work`` and the launch shape ``shape``."""
    layout = work.layout
    own = {name: number for name, number in shape.items() if name in backend.file.defines}
    return {
        "COLL_DTYPE": work.dtype.name, "COLL_OP": work.op,
        "COLL_NODES": layout.node_count, "COLL_LOCAL": layout.per_node or 1,
        "COLL_FLAGGED": int(backend.flagged(work)), "COLL_THREADS": shape["threads"], "COLL_TILE": backend.file.tile,
        "COLL_FLAGGED_HALF": scratch.flagged_half, "COLL_LAMPORT_HALF": scratch.lamport_half,
        "COLL_ARGS_BYTES": ctypes.sizeof(args_type(layout.size)), **own,
    }  # fmt: skip


def tiles_bytes(backend: KernelBackend, work: Workload) -> int:
    """Bytes that cutting its slots to whole tiles may cost a kernel: a tile for each."""
    slots = backend.formula(backend.file.scratch, work, 1) * backend.parts(work)
    return (math.ceil(slots) + 1) * backend.file.tile * CELL


def elements_at_once(backend: KernelBackend, work: Workload, scratch: Scratch) -> int:
    """Elements that a launch can take with this scratch; 0 where it holds none."""
    flagged = backend.flagged(work)
    half = scratch.flagged_half // 2 if flagged else scratch.lamport_half  # half of a flagged cell is flag
    slack = tiles_bytes(backend, work) if scratch.slack is None else scratch.slack
    size = max(0, half - slack) / backend.formula(backend.file.scratch, work, 1)
    unit = 65536 if size >= 65536 else 1024
    return int(size) // unit * unit // work.dtype.itemsize
