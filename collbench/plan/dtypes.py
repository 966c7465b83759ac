"""The element types that are benchmarked: names, widths and rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Dtype:
    """An element type. ``roundoff`` is u, half the distance from 1 to the next value; 0 for integers.

    ``exact_bits``: integers, and sums of integers, up to 2**exact_bits in magnitude are exact.
    """

    name: str
    itemsize: int
    roundoff: float
    exact_bits: int

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype; bfloat16 is defined by ml_dtypes."""
        import numpy as np

        if self.name == "bfloat16":
            import ml_dtypes

            kind: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
            return kind
        return np.dtype(self.name)

    @property
    def is_float(self) -> bool:
        """Whether this is a floating-point type."""
        return self.roundoff > 0


DTYPES = {
    dtype.name: dtype
    for dtype in (
        Dtype("float16", 2, 2.0**-11, 11),
        Dtype("bfloat16", 2, 2.0**-8, 8),
        Dtype("float32", 4, 2.0**-24, 24),
        Dtype("float64", 8, 2.0**-53, 53),
        Dtype("int32", 4, 0.0, 31),
        Dtype("int64", 8, 0.0, 63),
    )
}
# Other names that are understood, of nccl-tests and of frameworks; results have those of DTYPES.
ALIASES = {
    "half": "float16", "fp16": "float16", "bf16": "bfloat16", "float": "float32", "fp32": "float32",
    "double": "float64", "fp64": "float64", "int": "int32",
    "long": "int64",
}  # fmt: skip
