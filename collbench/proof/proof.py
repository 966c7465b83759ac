"""Proof that an operation's answers are right: revealing inputs, checks, and a diagnosis of the first error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from collbench.backends import ExactOrder
from collbench.devices.device import PERIOD, Array, Device, Errors, Expectation, Floats, Values, same
from collbench.plan.collectives import Piece
from collbench.plan.problem import Problem
from collbench.proof import patterns
from collbench.proof.buffers import Buffers
from collbench.proof.copies import Copied, astray, copies_of
from collbench.proof.patterns import BIT_EXACT, shift_of
from collbench.proof.rows import RowProof

Answer = tuple[Floats, int]  # one period of an answer, and the entry of it that element 0 holds


@dataclass(frozen=True)
class Layer:
    """One kind of data: the inputs of all ranks, the expected pieces of output, and on the device this rank's input
    (``table``), the last contribution (``last``, an old residual), the check that the input is unchanged, and the
    checks of each piece (``judged``)."""

    name: str
    inputs: Values
    table: Array
    last: Array
    unchanged: Any
    expected: tuple[Expectation, ...]
    judged: tuple[Any, ...]


class Proof:
    """Writes the inputs of an iteration and judges its outputs, on one rank for one operation.

    Iteration i uses layer i modulo the number of layers, so timed iterations cover every layer. ``exact_order``, the
    order of additions that the backend documents, adds the bit-exact layer. ``layers`` replaces the usual layers.
    ``exact_norm``: normalised rows are judged bit by bit.
    """

    def __init__(
        self, device: Device, arena: Array, buffers: Buffers, problem: Problem, rank: int,
        exact_order: ExactOrder | None, layers: Sequence[str] = (), exact_norm: bool = False,
    ) -> None:  # fmt: skip
        self._device, self._arena, self._buffers, self._problem, self._rank = device, arena, buffers, problem, rank
        self._pieces = problem.pieces(rank)
        usual = (*patterns.LAYERS, BIT_EXACT) if exact_order and problem.dtype.is_float else patterns.LAYERS
        self._layers = tuple(self._make_layer(name, exact_order) for name in layers or usual)
        guard = np.full(PERIOD, patterns.GUARD, np.uint8)
        self._guard_table, self._guarded = device.upload(guard), device.expectation(patterns.exactly(guard))
        self._set_guards()
        self._message = buffers.inputs.part(0, buffers.inputs.count - problem.hidden)
        self._rows = RowProof(device, arena, buffers, problem, exact_norm) if problem.collective.normalises else None

    def _make_layer(self, name: str, exact_order: ExactOrder | None) -> Layer:
        kind, op, ranks = self._problem.dtype, self._problem.op, self._problem.contributions
        inputs, device = patterns.inputs(name, kind, op, ranks), self._device
        if exact_order is not None and name == BIT_EXACT:
            expected = tuple(patterns.exactly(exact_order(inputs)) for _ in self._pieces)
        elif exact_order is not None and name == patterns.SPECIAL:
            with np.errstate(all="ignore"):
                expected = tuple(patterns.numerically(exact_order(inputs)) for _ in self._pieces)
        else:
            expected = tuple(patterns.expectation(name, kind, op, ranks, piece.sources) for piece in self._pieces)
        mine = inputs[self._rank]
        judged = tuple(device.expectation(each) for each in expected)
        tables = device.upload(mine), device.upload(inputs[-1])
        return Layer(name, inputs, *tables, device.expectation(patterns.exactly(mine)), expected, judged)

    def _set_guards(self) -> None:
        for guard in self._buffers.guards:
            self._device.fill(self._arena, guard, self._guard_table, 0, 0)

    @property
    def layers(self) -> int:
        """Number of layers, and so of iterations that cover them all."""
        return len(self._layers)

    def _layer(self, iteration: int) -> Layer:
        return self._layers[iteration % len(self._layers)]

    def load(self, iteration: int) -> None:
        """Poison the outputs and write the inputs of ``iteration``, in all slots."""
        buffers, device = self._buffers, self._device
        if buffers.outputs.count:
            device.poison(self._arena, buffers.outputs)
        if self._message.count:
            device.fill(self._arena, self._message, self._layer(iteration).table, shift_of(iteration), buffers.step)
        if self._rows:
            self._rows.load(self._layer(iteration).last, shift_of(iteration))

    def check(self, iteration: int) -> tuple[Errors, str | None]:
        """Errors in the outputs and guards of ``iteration``, and a description of the first."""
        layer, total, words = self._layer(iteration), Errors(), None
        for number, (piece, judged) in enumerate(zip(self._pieces, layer.judged, strict=True)):
            region = self._buffers.answers.part(piece.start, piece.count)
            start = (self._start(iteration, 0) + piece.origin) % PERIOD
            found = self._device.judge(self._arena, region, judged, start, self._buffers.step)
            if found.wrong and words is None:
                words = self._explain(iteration, number, found)
            total = replace(total, wrong=total.wrong + found.wrong, units=max(total.units, found.units))
        if self._rows:
            unlike, description = self._rows.check(self._start(iteration, 0))
            words = words or (f"{layer.name} layer, {description}" if description else None)
            total = replace(total, wrong=total.wrong + unlike)
        outside = self._check_guards()
        if outside:
            words = words or f"{outside} bytes were written outside the output"
        return replace(total, wrong=total.wrong + outside), words

    def _check_guards(self) -> int:
        outside = sum(self._device.judge(self._arena, g, self._guarded, 0, 0).wrong for g in self._buffers.guards)
        if outside:
            self._set_guards()
        return outside

    def check_inputs(self, iteration: int) -> tuple[int, str | None]:
        """Number of elements of ``iteration``'s inputs that an out-of-place call changed, and a description."""
        if self._problem.in_place or not self._message.count:
            return 0, None
        unchanged = self._layer(iteration).unchanged
        found = self._device.judge(self._arena, self._message, unchanged, shift_of(iteration), self._buffers.step)
        weights = self._rows.check_weights(shift_of(iteration)) if self._rows else Errors()
        where = f"element {found.index}" if found.wrong else f"element {weights.index} of the weight"
        changed = found.wrong + weights.wrong
        return changed, f"the input was modified, first at {where}" if changed else None

    def _start(self, iteration: int, answer: int) -> int:
        """The table entry at which the data of a surviving answer starts."""
        return shift_of(iteration) + (self._buffers.first_answer + answer) * self._buffers.step

    def _explain(self, iteration: int, number: int, found: Errors) -> str:
        piece, layer = self._pieces[number], self._layer(iteration)
        region = self._buffers.answers.part(piece.start, piece.count)
        values = self._device.download(self._arena, region, found.slot)
        shift = self._start(iteration, found.slot) + piece.origin
        at = f"element {found.index} of the residual" if self._rows else f"element {piece.start + found.index}"
        earlier, name = self._earlier(iteration, number, found.slot), self._problem.contribution
        cause = diagnose(values, found.index, shift, layer, number, piece, earlier, name, copies_of(self._problem))
        return f"{layer.name} layer, {at}: {cause}"

    def _earlier(self, iteration: int, number: int, answer: int) -> list[Answer]:
        """The answers that a stale buffer could hold: of this slot in earlier samples, of earlier slots in this one."""
        past = range(iteration - 1, max(-1, iteration - 1 - self.layers), -1)
        slots = range(-self._buffers.first_answer - answer, 0)
        before = [(i, answer) for i in past] + [(iteration, answer + slot) for slot in slots]
        origin = self._pieces[number].origin
        return [(self._layer(i).expected[number].middle, self._start(i, at) + origin) for i, at in before]


def diagnose(
    values: Values, index: int, shift: int, layer: Layer, number: int, piece: Piece, earlier: list[Answer],
    name: Callable[[int], str], copies: Sequence[Copied],
) -> str:  # fmt: skip
    """A description of the likeliest cause of the wrong element ``values[index]``.

    ``shift``: table entry of element 0; ``earlier``: the answers of earlier calls; ``name`` names a contribution;
    ``copies``: the parts that outputs should hold where inputs are copied.
    """
    expected = layer.expected[number].middle
    got, want = float(values[index]), expected[(shift + index) % PERIOD]
    difference = f"expected {want:g}, got {got:g}"
    if bool(np.all(values[index : index + 1].view(np.uint8) == 0xFF)):
        return f"never written ({difference})"
    sample = np.arange(index, min(index + 256, len(values)))
    seen = values[sample].astype(np.float64)
    right = expected[(shift + sample) % PERIOD]
    bad = ~(np.abs(seen - right) <= layer.expected[number].tolerance[(shift + sample) % PERIOD])
    bad &= ~same(seen, right)
    sample, seen, right = sample[bad], seen[bad], right[bad]
    for answer, start in earlier:
        if np.allclose(seen, answer[(start + sample) % PERIOD], rtol=1e-2, atol=0):
            return f"stale: the answer of an earlier call ({difference})"
    parts = {source: layer.inputs[source][(shift + sample) % PERIOD].astype(np.float64) for source in piece.sources}
    cause = astray(copies, layer.inputs, seen, shift - piece.origin + sample) or _miscounted(seen, right, parts, name)
    if cause:
        return f"{cause} ({difference})"
    places = np.flatnonzero(expected == got)
    if layer.name == "routing" and got != 0 and len(places) == 1:
        away = (int(places[0]) - shift - index + PERIOD // 2) % PERIOD - PERIOD // 2
        return f"displaced: it belongs {abs(away)} elements {'later' if away > 0 else 'earlier'} ({difference})"
    return difference


def _miscounted(seen: Values, right: Values, parts: Mapping[int, Values], name: Callable[[int], str]) -> str | None:
    """Which of several contributions is missing from a reduction, or counted twice, in words; or None."""
    for source, part in parts.items() if len(parts) > 1 else ():
        if np.allclose(seen, right - part, rtol=1e-2, atol=0) and np.any(part):
            return f"{name(source)} is missing"
        if np.allclose(seen, right + part, rtol=1e-2, atol=0) and np.any(part):
            return f"{name(source)} is counted twice"
    return None
