"""Peaks of GPUs from their data sheets.

NVIDIA A100 Tensor Core GPU Datasheet (2021), H100 Tensor Core GPU Datasheet (2024), H200 Tensor Core GPU Datasheet
(2024), GH200 Grace Hopper Superchip Datasheet (2024). Dense products: data sheets of Hopper print twice as much, for
sparse ones. 16-bit types run on tensor cores, float32 and float64 as PyTorch runs them by default, without TF32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from collbench.errors import UsageError
from collbench.plan.dtypes import Dtype


@dataclass(frozen=True)
class Gpu:
    """Peaks: floating-point operations per second by type, bytes per second and bytes of the memory."""

    name: str
    operations: Mapping[str, float]
    bandwidth: float
    memory: float

    def peak(self, dtype: Dtype) -> float:
        """Operations per second of products of this type; UsageError where the data sheet has none."""
        if dtype.name not in self.operations:
            raise UsageError(f"the data sheet of {self.name} has no peak for {dtype.name}; give --compute.")
        return self.operations[dtype.name]


def _gpu(name: str, half: float, single: float, double: float, bandwidth: float, memory: float) -> Gpu:
    peaks = {"float16": half, "bfloat16": half, "float32": single, "float64": double}
    return Gpu(name, MappingProxyType({key: each * 1e12 for key, each in peaks.items()}), bandwidth * 1e9, memory * 1e9)


GPUS: Mapping[str, Gpu] = MappingProxyType({
    "a100": _gpu("A100 SXM 80 GB", 312, 19.5, 19.5, 2039, 80),
    "a100-40gb": _gpu("A100 SXM 40 GB", 312, 19.5, 19.5, 1555, 40),
    "h100": _gpu("H100 SXM", 989, 67, 67, 3350, 80),
    "h200": _gpu("H200 SXM", 989, 67, 67, 4800, 141),
    "gh200": _gpu("GH200 96 GB", 990, 67, 67, 4000, 96),
})  # fmt: skip
