"""Chains: calls in sequence each of which reads what the one before wrote, with results that stay exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from collbench.backends import Session
from collbench.devices.device import PERIOD, Array, Call, Device, Errors, Region, Values
from collbench.plan.dtypes import Dtype
from collbench.plan.problem import Problem
from collbench.proof import patterns
from collbench.proof.buffers import Buffers
from collbench.proof.patterns import exactly, neutral, shift_of


def largest(dtype: Dtype) -> int:
    """The largest integer up to which all integers, and their sums, are exact."""
    return (1 << dtype.exact_bits) - 1


def links(problem: Problem, most: int) -> int:
    """Calls in sequence, at least two and ``most`` at most, whose results are exact where one rank's first input is
    not neutral: each later call adds as many equal numbers as there are ranks."""
    ranks, limit = problem.layout.size, largest(problem.dtype)
    if problem.op != "sum":
        return most
    exact = [count for count in range(2, most + 1) if ranks ** (count - 1) <= limit]
    return max(exact, default=2)


def first_inputs(dtype: Dtype, op: str, ranks: int, count: int) -> Values:
    """One period of every rank's first input, shape (ranks, PERIOD): small integers, each on one rank only, whose
    results are exact in ``count`` calls."""
    most = max(1, min(PERIOD, largest(dtype) // ranks ** (count - 1)))
    index = np.arange(PERIOD)
    mine = index % ranks == np.arange(ranks)[:, None]
    return np.where(mine, (1 + index % most).astype(dtype.numpy), np.array(neutral(dtype, op), dtype.numpy))


def results(inputs: Values, problem: Problem, count: int) -> list[Values]:
    """The results of ``count`` calls in sequence, one period each."""
    dtype, op = problem.dtype, problem.op
    if op != "sum":
        return [(np.minimum if op == "min" else np.maximum).reduce(inputs, axis=0)] * count
    first = inputs.astype(np.float64 if dtype.is_float else np.int64).sum(axis=0)
    return [(first * problem.layout.size**number).astype(dtype.numpy) for number in range(count)]


class Chain:
    """Calls of one problem, out of place: the output of each is the input of the next, up to ``links`` of them, and
    then again from a fresh input. Has the methods of ``Prepared`` that runs of scenes use; creating one is collective.
    ``first`` is the number of its first iteration."""

    layers = 1

    def __init__(
        self, device: Device, session: Session, problem: Problem, rank: int, arena: Array, buffers: Buffers,
        first: int = 0,
    ) -> None:  # fmt: skip
        self.problem, self._device, self._arena, self._buffers = problem, device, arena, buffers
        self._links = links(problem, buffers.send.slots)
        inputs = first_inputs(problem.dtype, problem.op, problem.layout.size, self._links)
        self._input, self._unchanged = device.upload(inputs[rank]), device.expectation(exactly(inputs[rank]))
        self._results = [device.expectation(exactly(each)) for each in results(inputs, problem, self._links)]
        guard = np.full(PERIOD, patterns.GUARD, np.uint8)
        self._guard, self._guarded = device.upload(guard), device.expectation(exactly(guard))
        self.calls: list[Call] = [
            session.prepare(problem, self._source(slot), device.view(arena, buffers.recv, slot))
            for slot in range(buffers.send.slots)
        ]
        self.iteration = first

    def _source(self, slot: int) -> Array:
        """The input of a call: its own where a chain begins, else the output of the call before."""
        if slot % self._links == 0:
            return self._device.view(self._arena, self._buffers.send, slot)
        return self._device.view(self._arena, self._buffers.recv, slot - 1)

    @property
    def answers(self) -> int:
        """Number of outputs that are judged per iteration."""
        return self._buffers.answers.slots

    def load(self) -> None:
        """Poison the outputs and write this iteration's inputs."""
        buffers, device = self._buffers, self._device
        device.poison(self._arena, buffers.outputs)
        for guard in buffers.guards:
            device.fill(self._arena, guard, self._guard, 0, 0)
        device.fill(self._arena, buffers.inputs, self._input, shift_of(self.iteration), buffers.step)

    def check_all(self) -> tuple[Errors, str | None]:
        """Errors in outputs, guards and inputs, with a description of the first; advances to the next iteration's
        data."""
        buffers, begin = self._buffers, shift_of(self.iteration)
        total, words = 0, None
        for slot in range(self.answers):
            link = slot % self._links
            start = begin + (slot - link) * buffers.step
            found = self._judge(_only(buffers.answers, slot), self._results[link], start, 0)
            if found.wrong and not words:
                words = f"call {link + 1} of a chain of {self._links}, element {found.index}: {found.wrong} are wrong"
            total += found.wrong
        outside = sum(self._judge(guard, self._guarded, 0, 0).wrong for guard in buffers.guards)
        changed = self._judge(buffers.inputs, self._unchanged, begin, buffers.step).wrong
        words = words or (f"{outside} bytes were written outside the output" if outside else None)
        self.iteration += 1
        return Errors(total + outside + changed), words or ("the input was modified" if changed else None)

    def _judge(self, region: Region, expected: object, start: int, step: int) -> Errors:
        return self._device.judge(self._arena, region, expected, start, step)

    def answer(self, number: int) -> Values:
        """The current output in slot ``number``."""
        return self._device.download(self._arena, self._buffers.answers, number)


def _only(region: Region, slot: int) -> Region:
    return replace(region, offset=region.offset + slot * region.stride, slots=1)
