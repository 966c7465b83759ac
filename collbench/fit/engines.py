"""The all-reduces that serving engines run inside a node, by a public table of 4 H200.

Source: ai-dynamo/aiconfigurator, systems/data, custom_allreduce_perf and nccl_perf: vLLM 0.24, SGLang 0.5.14,
TensorRT-LLM 1.3rc20 in CUDA graphs, NCCL 2.29.2. Their NCCL lies within 10 % of ours on such a machine
(results/h200x4-nvrar.csv), which is the range given for these latencies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from collbench.errors import UsageError, pick
from collbench.fit.curves import Curve, Point
from collbench.fit.estimate import ASSUMED, MODELLED, Estimate, check_request
from collbench.fit.families import GPU_RATIO, Family
from collbench.fit.fitting import fit_curve
from collbench.fit.law import Law
from collbench.llm.engines import OWN_KERNELS

K = 1 << 10
SIZES = (8 * K, 256 * K, K * K, 2 * K * K, 8 * K * K)
TABLE: Mapping[str, tuple[float, ...]] = MappingProxyType({
    "vllm": (4.8, 7.0, 12.1, 17.8, 51.8), "sglang": (2.8, 5.5, 10.4, 14.6, 43.4),
    "trtllm": (3.2, 5.4, 12.8, 21.9, 57.8), "nccl": (10.1, 11.7, 18.1, 27.4, 60.1),
})  # fmt: skip
RANKS = 4
ERROR = 0.1
_FAMILY = Family("all_reduce", ("one-shot", "two-shot"), GPU_RATIO, sees_virtual_nodes=False)


@cache
def law_of(engine: str) -> Law:
    """One shot and two shots fitted to the engine's column."""
    points = tuple(Point(size, RANKS, 1, us) for size, us in zip(SIZES, TABLE[engine], strict=True))
    return fit_curve(Curve(engine, _FAMILY, points), f"engine {engine}").law


@dataclass(frozen=True)
class Engine:
    """The kernels of ``engine``, one of vllm, sglang and trtllm."""

    engine: str

    def __post_init__(self) -> None:
        pick("engine", self.engine, TABLE.keys() - {"nccl"})

    @property
    def name(self) -> str:
        """The engine."""
        return self.engine

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """As `Latencies.of`. On 4 ranks from 8 KiB to 8 MiB the table, else the model, whose use is assumed. Raises
        UsageError for other collectives than all_reduce, for several nodes, and for ranks that vLLM gives to NCCL."""
        check_request(size, ranks, nodes)
        if operation != "all_reduce":
            raise UsageError(f"the table of {self.engine} has all_reduce, not {operation}.")
        if nodes > 1:
            raise UsageError(f"the kernels of {self.engine} run inside a node; {nodes} nodes take NCCL.")
        if self.engine == "vllm" and ranks not in OWN_KERNELS:
            known = ", ".join(map(str, OWN_KERNELS))
            raise UsageError(f"the kernels of vllm run on {known} ranks; {ranks} take NCCL.")
        found = law_of(self.engine).estimate(size, ranks, nodes)
        if ranks != RANKS or not SIZES[0] <= size <= SIZES[-1]:
            return Estimate(found.us, found.low, found.high, ASSUMED, found.source)
        us = self._between(size)
        source = f"engine {self.engine}: 4 H200, aiconfigurator"
        return Estimate(us, us * (1 - ERROR), us * (1 + ERROR), MODELLED, source)

    def _between(self, size: int) -> float:
        """The table's value, on the line between two sizes in logarithms."""
        import numpy as np

        return float(np.exp(np.interp(np.log(size), np.log(SIZES), np.log(TABLE[self.engine]))))
