"""Which elements of normalised rows differ from those that ``plan.rms_norm`` defines, on the host."""

from __future__ import annotations

import numpy as np

from collbench.devices.device import Floats, Rows, Values, same
from collbench.plan import rms_norm
from collbench.plan.dtypes import Dtype


def least_normal(dtype: Dtype) -> float:
    """The smallest normal number of a type of 16 bits: errors below it are those of flushed denormals."""
    return float(np.array(1 << (dtype.exact_bits - 1), np.uint16).view(dtype.numpy)[()])


def tolerance(want: Floats, dtype: Dtype, roundings: int) -> Floats:
    """The absolute error allowed in rows whose exact values are ``want``."""
    return np.asarray(roundings * dtype.roundoff * np.abs(want) + least_normal(dtype), np.float64)


def unlike_rows(got: Values, residual: Values, weight: Values, rows: Rows) -> Values:
    """Whether each element of ``got`` differs from what its row of ``residual`` gives; all of one shape, (n,)."""
    with np.errstate(all="ignore"):
        exact = rms_norm.unrounded(residual.reshape(-1, rows.hidden), weight).reshape(-1)
        rounded = exact.astype(got.dtype)
        if not rows.roundings:
            return np.asarray((got.view("u2") != rounded.view("u2")) & ~(np.isnan(got) & np.isnan(rounded)))
        seen, want = got.astype(np.float64), exact.astype(np.float64)
        near = np.abs(seen - want) <= tolerance(want, rows.normalised.dtype, rows.roundings)
        return np.asarray(~(near & np.isfinite(want) | same(got, rounded)))
