"""Proof that an operation's answers are right: inputs that betray every mistake, checks, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from collbench import patterns
from collbench.collectives import Piece
from collbench.device import Array, Device, Finding, Region
from collbench.dtypes import Dtype
from collbench.patterns import PERIOD, SLOT_STEP, Emulator, Values, shift_of
from collbench.plan import Workload

GUARD_BYTES = 256
BYTE = Dtype("uint8", 1, 0.0, 8)
ALIGNMENT = 512


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


Answer = tuple[patterns.Floats, int]  # one period of an answer, and the entry of it that element 0 holds


@dataclass(frozen=True)
class Buffers:
    """Where one rank's inputs, outputs and guard bytes of a workload lie in its arena, for a number of slots."""

    send: Region
    recv: Region
    guard: Region

    @property
    def size(self) -> int:
        """Bytes of arena that they take."""
        return self.send.slots * self.send.stride


def stride_of(workload: Workload) -> int:
    """Bytes from one slot to the next, the same on every rank."""
    whole = _aligned(workload.bytes + GUARD_BYTES)
    return whole if workload.in_place else _aligned(workload.bytes) + whole


def lay_out(workload: Workload, rank: int, slots: int) -> Buffers:
    """Input, then output, then guard bytes right behind its last element; in place, the smaller is in the larger."""
    what, n, ranks, width = workload.collective, workload.count, workload.layout.size, workload.dtype.itemsize
    stride = stride_of(workload)
    sent, received = what.send(n, ranks, rank), what.recv(n, ranks, rank)
    if workload.in_place and what.in_place:
        shift = what.in_place(n, ranks, rank) * width
        send_at, recv_at = max(0, shift), max(0, -shift)
        end = workload.bytes
    else:
        send_at, recv_at = 0, _aligned(workload.bytes)
        end = recv_at + received * width
    return Buffers(
        Region(send_at, stride, slots, sent, workload.dtype),
        Region(recv_at, stride, slots, received, workload.dtype),
        Region(end, stride, slots, GUARD_BYTES, BYTE),
    )


@dataclass(frozen=True)
class Layer:
    """One kind of data: every rank's input, and on the device this rank's input and what each piece must be."""

    name: str
    inputs: Values
    table: Array
    expected: tuple[patterns.Expectation, ...]
    judged: tuple[Any, ...]


def _expectation(name: str, inputs: Values, piece: Piece, work: Workload, emulate: Emulator | None) -> Any:
    parts = inputs[list(piece.sources)]
    if name == "emulated" and emulate is not None:
        return patterns.emulated(parts, emulate)
    return patterns.expect(name, parts, work.dtype, work.op)


class Proof:
    """Writes the inputs of an iteration and judges its outputs, on one rank for one operation.

    Iteration i uses layer i modulo the number of layers, so every layer meets timed iterations. ``emulate``, where
    the backend documents its order of additions, adds the bit-exact layer.
    """

    def __init__(
        self,
        device: Device,
        arena: Array,
        buffers: Buffers,
        work: Workload,
        rank: int,
        emulate: Emulator | None,
    ) -> None:
        self._device, self._arena, self._buffers, self._work, self._rank = device, arena, buffers, work, rank
        self._pieces = work.collective.pieces(work.count, work.layout.size, rank)
        names = (*patterns.LAYERS, "emulated") if emulate and work.dtype.is_float else patterns.LAYERS
        self._layers = tuple(self._make_layer(name, emulate) for name in names)
        ones = np.full(PERIOD, 0xA5, np.uint8)
        self._guard_table = device.upload(ones)
        self._guard_expected = device.expectation(patterns.expect("exact", ones[None], BYTE, ""))
        device.fill(arena, buffers.guard, self._guard_table, 0, 0)

    def _make_layer(self, name: str, emulate: Emulator | None) -> Layer:
        work = self._work
        inputs = patterns.inputs(name, work.dtype, work.op, work.layout.size)
        expected = tuple(_expectation(name, inputs, piece, work, emulate) for piece in self._pieces)
        judged = tuple(self._device.expectation(each) for each in expected)
        return Layer(name, inputs, self._device.upload(inputs[self._rank]), expected, judged)

    @property
    def layers(self) -> int:
        """Number of layers, so of iterations that meet them all."""
        return len(self._layers)

    def _layer(self, iteration: int) -> Layer:
        return self._layers[iteration % len(self._layers)]

    def load(self, iteration: int, slots: int) -> None:
        """Poison the outputs of the first ``slots`` slots and write the inputs of ``iteration``."""
        send, recv = self._buffers.send.first(slots), self._buffers.recv.first(slots)
        if recv.count:
            self._device.poison(self._arena, recv)
        if send.count:
            self._device.fill(self._arena, send, self._layer(iteration).table, shift_of(iteration), SLOT_STEP)

    def check(self, iteration: int, slots: int) -> tuple[Finding, str | None]:
        """What is wrong in the outputs of ``iteration``: counts, and the first mistake in words."""
        layer, total, words = self._layer(iteration), Finding(), None
        for piece, judged, number in zip(self._pieces, layer.judged, range(len(self._pieces)), strict=True):
            region = self._buffers.recv.first(slots).part(piece.start, piece.count)
            start = (shift_of(iteration) + piece.origin) % PERIOD
            found = self._device.judge(self._arena, region, judged, start, SLOT_STEP)
            if found.wrong and words is None:
                words = self._explain(iteration, number, found)
            total = replace(total, wrong=total.wrong + found.wrong, units=max(total.units, found.units))
        guard = self._device.judge(self._arena, self._buffers.guard.first(slots), self._guard_expected, 0, 0)
        if guard.wrong:
            words = words or f"{guard.wrong} bytes were written past the end of the output"
            self._device.fill(self._arena, self._buffers.guard, self._guard_table, 0, 0)
        return replace(total, wrong=total.wrong + guard.wrong), words

    def _explain(self, iteration: int, number: int, found: Finding) -> str:
        piece, layer = self._pieces[number], self._layer(iteration)
        region = self._buffers.recv.part(piece.start, piece.count)
        values = self._device.download(self._arena, region, found.slot)
        shift = shift_of(iteration, found.slot) + piece.origin
        where = f"{layer.name} layer, element {piece.start + found.index}"
        cause = diagnose(values, found.index, shift, layer, number, piece, self._earlier(iteration, number, found.slot))
        return f"{where}: {cause}"

    def _earlier(self, iteration: int, number: int, slot: int) -> list[Answer]:
        """The answers that a stale buffer could hold: of the same slot before, and of the slot before."""
        before = [(i, slot) for i in range(iteration - 1, max(-1, iteration - 1 - self.layers), -1)]
        before += [(iteration, slot - 1)] if slot else []
        origin = self._pieces[number].origin
        return [(self._layer(i).expected[number].middle, shift_of(i, at) + origin) for i, at in before]


def diagnose(
    values: Values, index: int, shift: int, layer: Layer, number: int, piece: Piece, earlier: list[Answer]
) -> str:
    """The likeliest cause of the wrong element ``values[index]``, in words.

    ``shift``: table entry of element 0; ``earlier``: the answers of earlier calls.
    """
    expected = layer.expected[number].middle
    got, want = float(values[index]), expected[(shift + index) % PERIOD]
    told = f"expected {want:g}, got {got:g}"
    if bool(np.all(values[index : index + 1].view(np.uint8) == 0xFF)):
        return f"never written ({told})"
    sample = np.arange(index, min(index + 256, len(values)))
    seen = values[sample].astype(np.float64)
    right = expected[(shift + sample) % PERIOD]
    bad = ~(np.abs(seen - right) <= layer.expected[number].tolerance[(shift + sample) % PERIOD])
    sample, seen, right = sample[bad], seen[bad], right[bad]
    for answer, start in earlier:
        if np.allclose(seen, answer[(start + sample) % PERIOD], rtol=1e-2, atol=0):
            return f"stale, it is the answer of an earlier call ({told})"
    for source in piece.sources if len(piece.sources) > 1 else ():
        part = layer.inputs[source][(shift + sample) % PERIOD].astype(np.float64)
        if np.allclose(seen, right - part, rtol=1e-2, atol=0) and np.any(part):
            return f"the contribution of rank {source} is missing ({told})"
        if np.allclose(seen, right + part, rtol=1e-2, atol=0) and np.any(part):
            return f"the contribution of rank {source} is counted twice ({told})"
    places = np.flatnonzero(expected == got)
    if layer.name == "routing" and got != 0 and len(places) == 1:
        away = (int(places[0]) - shift - index + PERIOD // 2) % PERIOD - PERIOD // 2
        return f"displaced, it belongs {abs(away)} elements {'later' if away > 0 else 'earlier'} ({told})"
    return told
