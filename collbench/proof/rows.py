"""Proof of normalised rows: weights and old residuals are written, and rows judged given the residual beside them."""

from __future__ import annotations

import numpy as np

from collbench.devices.device import PERIOD, Array, Device, Errors, Rows, Values
from collbench.plan import rms_norm
from collbench.plan.problem import Problem
from collbench.proof import patterns
from collbench.proof.buffers import Buffers

# For a backend whose order of operations is not documented, at most: of the sum before its root is taken, of the
# residual, which may enter unrounded, of its product with the scale, and of that with the weight.
ROUNDINGS = 4


class RowProof:
    """The rows of one operation on one rank: ``exact`` where they must have the bits of ``plan.rms_norm``."""

    def __init__(self, device: Device, arena: Array, buffers: Buffers, problem: Problem, exact: bool) -> None:
        self._device, self._arena, self._step, self._hidden = device, arena, buffers.step, problem.hidden
        count, answers = problem.count, buffers.answers
        self._weight = buffers.inputs.part(buffers.inputs.count - problem.hidden, problem.hidden)
        self._old = buffers.outputs.part(count, count)
        self._rows = Rows(answers.part(0, count), answers.part(count, count), problem.hidden, 0 if exact else ROUNDINGS)
        self._weights = patterns.weights(problem.dtype)
        self._table = device.upload(self._weights)
        self._unchanged = device.expectation(patterns.exactly(self._weights))

    def load(self, old: Array, start: int) -> None:
        """Write the weight and the old residual, a table, of every slot from entry ``start`` on."""
        self._device.fill(self._arena, self._weight, self._table, start, self._step)
        self._device.fill(self._arena, self._old, old, start, self._step)

    def check_weights(self, start: int) -> Errors:
        """The elements of the weights that a call changed."""
        return self._device.judge(self._arena, self._weight, self._unchanged, start, self._step)

    def check(self, start: int) -> tuple[int, str | None]:
        """The number of wrong elements in the normalised rows, and a description of the first."""
        found = self._device.judge_rows(self._arena, self._rows, self._table, start, self._step)
        return found.wrong, self._explain(found, start) if found.wrong else None

    def _explain(self, found: Errors, start: int) -> str:
        row, column = divmod(found.index, self._hidden)
        got, residual = (
            self._device.download(self._arena, region.part(row * self._hidden, self._hidden), found.slot)
            for region in (self._rows.normalised, self._rows.residual)
        )
        weight = self._weights[(start + found.slot * self._step + np.arange(self._hidden)) % PERIOD]
        return f"row {row} of the normalised output, element {column}: {cause(got, residual, weight, column)}"


def cause(got: Values, residual: Values, weight: Values, column: int) -> str:
    """The likeliest cause of the wrong element ``column`` of a normalised row, and what it should be given its
    residual; all of shape (hidden,)."""
    with np.errstate(all="ignore"):
        want = rms_norm.normalised(residual[None], weight)[0].astype(np.float64)
        difference = f"expected {want[column]:g} given the residual, got {float(got[column]):g}"
        if bool(np.all(got[column : column + 1].view(np.uint8) == 0xFF)):
            return f"never written ({difference})"
        seen, share = got.astype(np.float64), weight.astype(np.float64)
        if np.allclose(seen, want / share, rtol=1e-2, atol=0):
            return f"the weight is missing ({difference})"
        factor = float(np.median((seen / want)[want != 0])) if np.any(want) else 1.0
        if abs(factor - 1) > 1e-2 and np.allclose(seen, factor * want, rtol=1e-2, atol=0):
            return f"the scale of the whole row is off by a factor of {factor:.3g} ({difference})"
    return difference
