"""Which elements of normalised rows differ from those that ``plan.rms_norm`` defines, on the host."""

from __future__ import annotations

import math

import numpy as np

from collbench.devices.device import Rows, Values, same
from collbench.plan import rms_norm
from collbench.plan.dtypes import Dtype

FLUSHED = 2.0**-126 * 2 / math.sqrt(rms_norm.EPSILON)  # of a denormal in fp32, times the largest scale and a weight


def tolerance(dtype: Dtype, roundings: int) -> tuple[float, float]:
    """The error allowed after so many roundings to a type of 16 bits: relative to the exact value, and absolute, by
    roundings of its denormals and by fp32 arithmetic that flushes denormals."""
    spacing = float(np.array(1, np.uint16).view(dtype.numpy)[()])
    return roundings * dtype.roundoff, roundings * spacing + FLUSHED


def unlike_rows(got: Values, residual: Values, weight: Values, rows: Rows) -> Values:
    """Whether each element of ``got`` differs from what its row of ``residual`` gives; all of one shape, (n,)."""
    with np.errstate(all="ignore"):
        exact = rms_norm.unrounded(residual.reshape(-1, rows.hidden), weight).reshape(-1)
        rounded = exact.astype(got.dtype)
        if not rows.roundings:
            return np.asarray((got.view("u2") != rounded.view("u2")) & ~(np.isnan(got) & np.isnan(rounded)))
        seen, want = got.astype(np.float64), exact.astype(np.float64)
        relative, absolute = tolerance(rows.normalised.dtype, rows.roundings)
        near = np.abs(seen - want) <= relative * np.abs(want) + absolute
        return np.asarray(~(near & np.isfinite(want) | same(got, rounded)))
