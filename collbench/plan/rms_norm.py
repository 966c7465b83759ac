"""The arithmetic of ``all_reduce_rms_norm``: an all-reduce, the addition of a residual, and RMSNorm of its rows.

All arithmetic is IEEE 754 in fp32, rounded to nearest, without fused multiply-add; x_0, x_1, ... are the contributions
in order of places, and a row has ``hidden`` elements:

1. residual: ((x_0 + x_1) + ...) + old residual, rounded once to the element type. This is the new residual r.
2. squares: r * r. The 8 of a cell (16 bytes) fold in half: s[i] + s[i + 4], then s[i] + s[i + 2], then s[0] + s[1].
   The sums of the row's cells, padded with zeros to a power of two, fold in half likewise, down to one total.
3. scale: 1 / sqrt(total / hidden + EPSILON), by division, addition, square root and division.
4. normalised: ((r * scale) * weight), rounded once to the element type.

A backend whose residual has another order of additions documents its own; its rows are judged given its residual.
numpy is imported when first used: ``collbench list`` reads the constants alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

Values: TypeAlias = "NDArray[Any]"  # of float16 or bfloat16, where nothing else is said
EPSILON = 1e-5  # rms_norm_eps of Llama 2 and 3
DTYPES = ("float16", "bfloat16")
CELL_ELEMENTS = 8
MOST_HIDDEN, DEFAULT_HIDDEN = 16384, 4096


def rows_words(hidden: int | None) -> str:
    """``rows of 4096``; "" where there are no rows."""
    return f"rows of {hidden}" if hidden else ""


def reference(inputs: Values, residual: Values, weight: Values) -> tuple[Values, Values]:
    """The normalised rows and the new residual, each of shape (rows, hidden).

    ``inputs``: the contributions in order of places, shape (places, rows, hidden); ``residual``: (rows, hidden);
    ``weight``: (hidden,).
    """
    fresh = flat_residual(inputs, residual)
    return normalised(fresh, weight), fresh


def flat_residual(inputs: Values, residual: Values) -> Values:
    """Step 1: the contributions along the first axis in sequence, then the old residual, with one rounding."""
    import numpy as np

    total = inputs[0].astype(np.float32)
    for part in (*inputs[1:], residual):
        total += part.astype(np.float32)
    return np.asarray(total.astype(residual.dtype))


def normalised(residual: Values, weight: Values) -> Values:
    """Steps 2 to 4: the normalised rows for a new residual of shape (rows, hidden) and a weight of shape (hidden,)."""
    return unrounded(residual, weight).astype(residual.dtype)


def unrounded(residual: Values, weight: Values) -> Values:
    """The normalised rows before they are rounded to the element type, in fp32."""
    import numpy as np

    wide = residual.astype(np.float32)
    mean = squares(wide) / np.float32(residual.shape[-1])
    scale = np.float32(1) / np.sqrt(mean + np.float32(EPSILON))
    return np.asarray((wide * scale[:, None]) * weight.astype(np.float32))


def squares(wide: Values) -> Values:
    """Step 2: the sum of squares of each row of fp32 numbers, shape (rows, hidden) -> (rows,)."""
    import numpy as np

    rows, hidden = wide.shape
    folded = _fold((wide * wide).reshape(rows, hidden // CELL_ELEMENTS, CELL_ELEMENTS))
    cells = np.zeros((rows, 1 << (folded.shape[-1] - 1).bit_length()), np.float32)
    cells[:, : folded.shape[-1]] = folded
    return _fold(cells)


def _fold(sums: Values) -> Values:
    """Add the second half of the last axis, whose length is a power of two, to the first, down to one number."""
    while (half := sums.shape[-1] // 2) > 0:
        sums = sums[..., :half] + sums[..., half:]
    return sums[..., 0]
