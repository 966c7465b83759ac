"""Calls of one problem in memory, and the proof of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from collbench.backends import Backend, Session
from collbench.devices.device import Array, Call, Device, Errors, Values
from collbench.plan.problem import Problem
from collbench.proof.buffers import Buffers
from collbench.proof.proof import Proof


class Prepared:
    """Calls of one problem, one for each slot of its buffers in ``arena``, and the proof of their answers.

    Making one is collective. ``layers`` are the kinds of data that it is proven with, by default all that fit any case;
    ``first`` is the number of its first iteration: two that take turns begin apart, so that their data differ.
    """

    def __init__(
        self, device: Device, backend: Backend, session: Session, problem: Problem, rank: int, arena: Array,
        buffers: Buffers, layers: Sequence[str] = (), first: int = 0,
    ) -> None:  # fmt: skip
        self.problem, self._device, self._arena, self._buffers = problem, device, arena, buffers
        self._proof = Proof(device, arena, buffers, problem, rank, backend.exact_order(problem), layers)
        self.calls: list[Call] = [
            session.prepare(problem, device.view(arena, buffers.send, slot), device.view(arena, buffers.recv, slot))
            for slot in range(buffers.send.slots)
        ]
        self.iteration = first

    @property
    def layers(self) -> int:
        """Number of layers, so of iterations that meet them all."""
        return self._proof.layers

    @property
    def answers(self) -> int:
        """Number of outputs that are judged in an iteration."""
        return self._buffers.answers.slots

    def load(self) -> None:
        """Poison the outputs and write this iteration's inputs."""
        self._proof.load(self.iteration)

    def check(self) -> tuple[Errors, str | None]:
        """What is wrong in outputs and guards, the first of it in words; the next iteration has other data."""
        self.iteration += 1
        return self._proof.check(self.iteration - 1)

    def check_all(self) -> tuple[Errors, str | None]:
        """The same, and whether the inputs are as they were."""
        changed, told = self._proof.check_inputs(self.iteration)
        found, said = self.check()
        return replace(found, wrong=found.wrong + changed), said or told

    def spoil(self, slot: int) -> None:
        """Overwrite the input of one call, in stream order."""
        sent = self._buffers.send
        if sent.count:
            self._device.poison(self._arena, replace(sent, offset=sent.offset + slot * sent.stride, slots=1))

    def answer(self, number: int) -> Values:
        """The output of the call in the given judged slot, as it is now."""
        return self._device.download(self._arena, self._buffers.answers, number)
