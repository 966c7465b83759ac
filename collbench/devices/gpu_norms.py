"""A GPU kernel that judges normalised rows."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from collbench.devices.device import PERIOD, Array, Errors, Rows
from collbench.devices.gpu_patterns import NONE_FOUND, errors_of
from collbench.devices.norm_source import ARITHMETIC, JUDGE, KINDS, options_of
from collbench.devices.norms import tolerance

THREADS, MOST_BLOCKS = 256, 1024


class Norms:
    """The compiled kernels of the current device, launched on the current cupy stream."""

    def __init__(self) -> None:
        names = [f"judge_rows<{kind}>" for kind in KINDS.values()]
        module = cupy.RawModule(code=ARITHMETIC + JUDGE, options=options_of(PERIOD), name_expressions=names)
        self._kernels: dict[str, Any] = {
            name: module.get_function(f"judge_rows<{kind}>") for name, kind in KINDS.items()
        }
        self._found = cupy.asarray(NONE_FOUND)

    def judge(self, arena: Array, rows: Rows, weights: Array, start: int, step: int) -> Errors:
        """Implements ``Device.judge_rows``; waits for the stream."""
        self._found.set(NONE_FOUND)
        region, kind = rows.normalised, rows.normalised.dtype
        blocks = min(MOST_BLOCKS, region.count // rows.hidden)
        at = [np.uint64(arena.data.ptr + each.offset) for each in (region, rows.residual)]
        strides = [np.uint64(each.stride) for each in (region, rows.residual)]
        sizes = (np.uint64(region.count), np.uint32(rows.hidden), np.uint64(start), np.uint64(step))
        limits = map(np.float64, tolerance(kind, rows.roundings))
        self._kernels[kind.name](
            (blocks, region.slots), (THREADS,), (*at, *strides, *sizes, weights, *limits, self._found)
        )
        return errors_of(cupy.asnumpy(self._found))
